"""The portal in typed records, read from the sandbox over sockets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.reading.portal_reads import HubSpotReads
from hubspot_sync.reading.recent_changes import NoRecentChanges, RecentExams
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.builders import Portal
from tests.calls import LATENCIES_MS, depth
from tests.sandbox import SandboxHandle

CALLED_A_BATCH_READ = "objects.batch_read"


@pytest.fixture(params=["default", "prepdoctors"])
def profile(request: pytest.FixtureRequest) -> PortalProfile:
    return load_profile(request.param)


@pytest.fixture
def portal(kind_sandbox: SandboxHandle, profile: PortalProfile) -> Portal:
    return Portal(kind_sandbox, profile)


@pytest.fixture
def client(sandbox: SandboxHandle) -> Iterator[HubSpotClient]:
    client = build_client(HubSpotConfig(base_url=sandbox.base_url, token=sandbox.token))
    yield client
    client.close()


@pytest.fixture
def reads(client: HubSpotClient, profile: PortalProfile) -> HubSpotReads:
    return HubSpotReads(
        profile=profile,
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC),
    )


@pytest.fixture
def context() -> CallContext:
    return CallContext(deadline=Deadline.after(20))


def test_a_student_is_found_by_e_mail_however_it_is_written(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    alice = portal.student("alice")

    answer = reads.contacts_by_email([f" {alice.email.upper()} "], context).require_complete()

    assert answer.found[alice.email].student_id == "S1001"
    assert answer.found[alice.email].credits == dict(alice.credits)


def test_an_address_nobody_has_is_missing_and_a_blank_one_is_not_asked_for(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    answer = reads.contacts_by_email(["nobody@example.org", " "], context)

    assert answer.missing == {"nobody@example.org", ""}
    assert portal.sandbox.calls_count(CALLED_A_BATCH_READ) == 1


def test_a_booking_and_its_exam_are_read_as_they_were_made(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    booking = portal.booking(portal.student("alice"), portal.exam(in_days=3))

    stored = reads.bookings([booking.id], context).require_complete().found[booking.id]
    exam = reads.exams([booking.exam.id], context).require_complete().found[booking.exam.id]

    assert (stored.booking_id, stored.state) == (booking.booking_id, "active")
    assert (stored.mock_type, stored.exam_date) == (booking.exam.mock_type, booking.exam.day)
    assert (exam.exam_date, exam.start_time) == (booking.exam.day, booking.exam.start_time)
    assert exam.ends_at is not None
    assert exam.ends_at.astimezone(portal.profile.time_zone).hour == 13


def test_a_booking_without_a_date_of_its_own_has_hubspots(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    booking = portal.booking(portal.student("alice"), portal.exam(), created_at=None)
    before = reads.bookings([booking.id], context).require_complete().found[booking.id]
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M")
    after = reads.bookings([booking.id], context).require_complete().found[booking.id]

    assert before.created_at is not None
    assert before.created_at == after.created_at
    assert before.updated_at is not None
    assert after.updated_at is not None
    assert after.updated_at > before.updated_at


def test_links_are_read_from_both_sides(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booking = portal.booking(alice, exam)

    assert reads.contact_bookings([alice.id], context).found[alice.id] == (booking.id,)
    assert reads.exam_bookings([exam.id], context).found[exam.id] == (booking.id,)
    assert reads.booking_exams([booking.id], context).found[booking.id] == (exam.id,)
    assert reads.booking_contacts([booking.id], context).found[booking.id] == (alice.id,)


def test_a_student_without_bookings_has_none_rather_than_an_unknown_number(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    bob = portal.student("bob")

    assert reads.contact_bookings([bob.id], context).require_complete().found[bob.id] == ()


def test_all_bookings_of_a_crowded_exam_are_counted(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    exam, bookings = portal.exam_with_bookings(620)

    linked = reads.exam_bookings([exam.id], context).require_complete().found[exam.id]

    assert set(linked) == {booking.id for booking in bookings}


def test_an_archived_exam_is_missing_and_no_longer_linked(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    booking = portal.booking(portal.student("alice"), portal.exam())
    portal.archive(booking.exam)

    assert reads.exams([booking.exam.id], context).missing == {booking.exam.id}
    assert reads.booking_exams([booking.id], context).found[booking.id] == ()


def test_only_active_exams_of_the_type_that_may_not_be_over_are_listed(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    first, second = portal.profile.mock_types[:2]
    wanted = {portal.exam(mock_type=first.value, in_days=days).id for days in (0, 1, 30)}
    portal.exam(mock_type=second.value)
    portal.exam(mock_type=first.value, active=False)
    portal.exam(mock_type=first.value, in_days=-5)

    assert set(reads.active_exam_ids(first.value, context)) == wanted


def test_a_portal_may_have_several_words_for_an_open_exam(
    portal: Portal, client: HubSpotClient, context: CallContext
) -> None:
    profile = dataclasses.replace(portal.profile, exam_active_values=("true", "false"))
    exams = {portal.exam().id, portal.exam(active=False).id}
    reads = HubSpotReads(
        profile=profile,
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC),
    )

    assert set(reads.active_exam_ids(portal.first_type.value, context)) == exams


def test_every_active_exam_is_listed_however_many_there_are(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    with portal.at_once():
        exams = {portal.exam(in_days=turn % 90).id for turn in range(450)}

    assert set(reads.active_exam_ids(portal.first_type.value, context)) == exams


def test_the_exams_of_all_types_are_one_search(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    """And as many more as it has pages."""
    types = [mock_type.value for mock_type in portal.profile.mock_types]
    with portal.at_once():
        for mock_type in types:
            portal.exam(mock_type=mock_type, active=False)
        exams = [portal.exam(mock_type=types[turn % len(types)]) for turn in range(230)]
    portal.sandbox.clear_calls()

    found = reads.active_exams(types, context).by_type

    assert {each: set(ids) for each, ids in found.items()} == {
        each: {exam.id for exam in exams if exam.mock_type == each} for each in types
    }
    assert portal.sandbox.calls_count("objects.search") == portal.sandbox.calls_count() == 2


def test_of_more_types_than_one_search_takes_none_is_left_out(
    portal: Portal, client: HubSpotClient, context: CallContext
) -> None:
    first, types = portal.first_type, [f"type {number}" for number in range(7)]
    profile = dataclasses.replace(
        portal.profile, mock_types=tuple(dataclasses.replace(first, value=each) for each in types)
    )
    exams = {portal.exam(mock_type=each).id: each for each in types}
    reads = HubSpotReads(
        profile=profile,
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC),
    )
    portal.sandbox.clear_calls()

    found = reads.active_exams(types, context).by_type

    assert {exam_id: each for each, ids in found.items() for exam_id in ids} == exams
    assert portal.sandbox.calls_count("objects.search") == 2


def test_an_exam_of_last_night_is_still_asked_for(
    portal: Portal, client: HubSpotClient, context: CallContext
) -> None:
    exam = portal.exam(in_days=0)
    reads = HubSpotReads(
        profile=portal.profile,
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC) + timedelta(days=1),
    )

    assert reads.active_exam_ids(exam.mock_type, context) == (exam.id,)


class ToldOfExams(NoRecentChanges):
    """Somebody told us of these exams lately."""

    def __init__(self, *exam_ids: str) -> None:
        self._exam_ids = exam_ids

    @override
    def exams(self) -> RecentExams:
        return RecentExams(ids=self._exam_ids)


def test_what_was_told_of_is_read_beside_the_search(
    portal: Portal, client: HubSpotClient, context: CallContext
) -> None:
    searched, told = portal.exam(), portal.exam()
    reads = HubSpotReads(
        profile=portal.profile,
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC),
        recent=ToldOfExams(told.id),
    )
    for latency_ms in LATENCIES_MS:
        portal.sandbox.configure(latency_ms=latency_ms)
        portal.sandbox.clear_calls()
        found = reads.active_exam_ids(told.mock_type, context)
        calls = portal.sandbox.calls()
        if depth(calls) == 1:
            break

    assert set(found) == {searched.id, told.id}
    assert (len(calls), depth(calls)) == (2, 1)


def test_enrollments_are_read_where_the_portal_has_them(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    alice = portal.student("alice")
    if portal.profile.object_types.enrollments is None:
        assert reads.contact_enrollments([alice.id], context).found == {alice.id: ()}
        assert portal.sandbox.calls_count() == 0
        return
    students = [alice, *(portal.student(f"student{turn}") for turn in range(120))]
    enrolled = {one.id: portal.enrollment(one, course_id="NDECC-2") for one in students}
    portal.sandbox.advance(60)
    portal.sandbox.clear_calls()

    found = reads.contact_enrollments(enrolled, context).require_complete().found

    assert {key: [one.id for one in many] for key, many in found.items()} == {
        key: [record_id] for key, record_id in enrolled.items()
    }
    (own,) = found[alice.id]
    assert (own.enrollment_id, own.course_id) == (f"ENR-{own.id}", "NDECC-2")
    assert (own.enrollment_status, own.is_registered) == ("Registered", True)
    assert portal.sandbox.calls_count() == 4  # an IN takes a hundred, and so does a batch


def test_what_could_not_be_read_is_unknown_and_not_missing(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    exams = [portal.exam().id, portal.exam().id]
    portal.sandbox.fault("partial", path="batch/read", last=1)

    answer = reads.exams(exams, context)

    assert set(answer.found) == {exams[0]}
    assert set(answer.unknown) == {exams[1]}


def test_a_contact_under_a_second_address_is_not_let_in_by_it(
    portal: Portal, reads: HubSpotReads, context: CallContext
) -> None:
    alice = portal.student("alice")
    portal.sandbox.fault(
        "status",
        path="batch/read",
        status=200,
        body={
            "status": "COMPLETE",
            "results": [{"id": alice.id, "properties": {"email": alice.email}}],
        },
    )

    answer = reads.contacts_by_email(["alice.second@example.org"], context)

    assert answer.missing == {"alice.second@example.org"}
    assert [fault["fired"] for fault in portal.sandbox.faults()] == [1]
