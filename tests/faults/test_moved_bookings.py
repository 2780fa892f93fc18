"""What people do to the links of a booking right after it was made here: the desk decides and
counts by HubSpot's word, where there is one, though it remembers the booking itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from booking_api import composition
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.own_links import MAX_LINK_LAG
from tests.builders import Exam, Portal, Student
from tests.desk import cancel, create, stored_total, update
from tests.faults.groups import DeskUnderTest, running_desk
from tests.sandbox import SandboxHandle
from tests.webhooks import SECRET, Events, apply_waiting, tell

LAG_S = 5
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def webhook_secret(settings: Settings) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = [SECRET]


def book(desk: DeskUnderTest, student: Student, exam: Exam) -> str:
    reply = create(desk.api, student, exam)
    assert reply.status == 201, reply.body
    return str(reply.data["booking_record_id"])


def unlink(portal: Portal, booking_id: str, kind: str, end_id: str) -> None:
    types = portal.profile.object_types
    portal.sandbox.dissociate(types.bookings, booking_id, getattr(types, kind), end_id)


def tell_unlinked(
    desk: DeskUnderTest, portal: Portal, booking_id: str, kind: str, end_id: str
) -> None:
    ends = ("bookings", booking_id), (kind, end_id)
    tell(desk.api, Events(portal.profile).link(*ends, associationRemoved=True))
    apply_waiting()
    desk.wait_until_idle()


def move(portal: Portal, booking_id: str, exam: Exam, other: Exam) -> None:
    types = portal.profile.object_types
    portal.sandbox.associate(types.bookings, booking_id, types.mock_exams, other.id)
    unlink(portal, booking_id, "mock_exams", exam.id)


def recount(desk: DeskUnderTest, *exams: Exam) -> None:
    composition.services().booking.recounts.request([exam.id for exam in exams])
    desk.wait_until_idle()


def test_a_seat_that_a_person_moved_away_from_is_free(desk: DeskUnderTest, portal: Portal) -> None:
    """Without a webhook: HubSpot shows whose the booking is now."""
    alice, ben, exam, other = portal.student("alice"), portal.student("ben"), *exams(portal)
    move(portal, book(desk, alice, exam), exam, other)

    recount(desk, exam, other)

    assert (stored_total(portal, exam), stored_total(portal, other)) == (0, 1)
    book(desk, ben, exam)
    assert create(desk.api, ben, other).code == "EXAM_FULL"


def test_a_seat_that_a_person_took_away_is_free(desk: DeskUnderTest, portal: Portal) -> None:
    """HubSpot shows no exam of the booking; that it was taken away, a webhook said."""
    alice, ben, exam = portal.student("alice"), portal.student("ben"), portal.exam(capacity=1)
    booked = book(desk, alice, exam)
    unlink(portal, booked, "mock_exams", exam.id)
    assert create(desk.api, ben, exam).code == "EXAM_FULL", "the link may not be shown yet"

    tell_unlinked(desk, portal, booked, "mock_exams", exam.id)

    assert stored_total(portal, exam) == 0
    book(desk, ben, exam)


@pytest.mark.parametrize("profile_name", ["default", "prepdoctors"])
def test_a_booking_taken_from_its_student_is_theirs_no_more(
    profile_name: str, settings: Settings, sandbox: SandboxHandle
) -> None:
    """It names somebody else, and nobody is linked to it."""
    sandbox.kind()
    portal = Portal(sandbox, load_profile(profile_name))
    types, names = portal.profile.object_types, portal.profile.booking_properties
    named = {"contact_id": "999", "student_id": "S999"}
    somebody_else = {names[field]: value for field, value in named.items() if field in names}
    alice, exam = portal.student("alice"), portal.exam()
    with running_desk(settings, sandbox, portal=profile_name) as desk:
        booked = book(desk, alice, exam)
        portal.sandbox.edit(types.bookings, booked, **somebody_else)
        unlink(portal, booked, "contacts", alice.id)
        before = update(desk.api, alice, booked, attending_location="calgary")
        assert before.status == 200, "the link may not be shown yet"

        tell_unlinked(desk, portal, booked, "contacts", alice.id)

        after = update(desk.api, alice, booked, attending_location="montreal")
        assert after.code == cancel(desk.api, alice, booked).code == "ACCESS_DENIED"


def test_a_booking_passed_on_to_a_duplicate_is_no_duplicate_booking(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """HubSpot shows whose it is; who it was made for has no booking on that day any more."""
    alice, exam, same_day = portal.student("alice"), portal.exam(), portal.exam()
    twin = portal.student("twin", student_id=alice.student_id)
    types, booked = portal.profile.object_types, book(desk, alice, exam)
    portal.sandbox.associate(types.bookings, booked, types.contacts, twin.id)
    unlink(portal, booked, "contacts", alice.id)

    assert create(desk.api, twin, same_day).code == "DUPLICATE_BOOKING"
    book(desk, alice, same_day)


def test_a_booking_taken_from_its_student_is_no_duplicate_booking(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam, same_day = portal.student("alice"), portal.exam(), portal.exam()
    booked = book(desk, alice, exam)
    unlink(portal, booked, "contacts", alice.id)
    before = create(desk.api, alice, same_day)
    assert before.code == "DUPLICATE_BOOKING", "the link may not be shown yet"

    tell_unlinked(desk, portal, booked, "contacts", alice.id)

    book(desk, alice, same_day)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_booking_taken_from_its_exam_is_for_its_own_day(
    is_told: bool, desk: DeskUnderTest, portal: Portal
) -> None:
    """A person moves that exam, and the booking is not of it any more."""
    alice, exam = portal.student("alice", credits=3), portal.exam()
    booked, names = book(desk, alice, exam), portal.profile.exam_properties
    same_day, new_day = portal.exam(), portal.exam(in_days=9)
    unlink(portal, booked, "mock_exams", exam.id)
    if is_told:
        tell_unlinked(desk, portal, booked, "mock_exams", exam.id)
    else:
        desk.clock.ahead += MAX_LINK_LAG + timedelta(seconds=1)
    moved = {names["exam_date"]: new_day.day.isoformat()}
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, **moved)

    book(desk, alice, new_day)

    assert create(desk.api, alice, same_day).code == "DUPLICATE_BOOKING"


@pytest.mark.parametrize("is_survivor", [False, True])
@pytest.mark.parametrize("told_away", [False, True])
@pytest.mark.parametrize("batches_know_merged", [True, False])
def test_a_seat_is_kept_whose_booking_is_merged_before_its_links_are_shown(
    is_survivor: bool,
    told_away: bool,
    batches_know_merged: bool,
    desk: DeskUnderTest,
    portal: Portal,
) -> None:
    """HubSpot shows the other's links as its own, and may tell that its own were taken away."""
    alice, ben, exam, other = portal.student("alice"), portal.student("ben"), *exams(portal)
    older = book(desk, alice, other)
    portal.sandbox.advance(LAG_S + 1)
    portal.sandbox.configure(association_lag_s=LAG_S, batches_know_merged=batches_know_merged)
    booked = book(desk, alice, exam)
    ends = (booked, older) if is_survivor else (older, booked)

    portal.sandbox.merge(portal.profile.object_types.bookings, *ends)
    if told_away:
        tell_unlinked(desk, portal, booked, "mock_exams", exam.id)
    answers = create(desk.api, ben, exam), create(desk.api, alice, exam, "key-2")
    recount(desk, exam, other)

    assert [reply.code for reply in answers] == ["EXAM_FULL"] * 2
    assert (stored_total(portal, exam), stored_total(portal, other)) == (1, 1)


@pytest.mark.parametrize("batches_know_merged", [True, False])
def test_a_seat_is_kept_whose_survivor_is_taken_from_another_exam(
    batches_know_merged: bool, desk: DeskUnderTest, portal: Portal
) -> None:
    """HubSpot tells by the survivor's id, and the links of both are the survivor's by now."""
    alice, ben, exam, other = portal.student("alice"), portal.student("ben"), *exams(portal)
    older = book(desk, alice, other)
    portal.sandbox.advance(LAG_S + 1)
    portal.sandbox.configure(association_lag_s=LAG_S, batches_know_merged=batches_know_merged)
    booked = book(desk, alice, exam)
    portal.sandbox.merge(portal.profile.object_types.bookings, older, booked)
    told = {"primaryObjectId": int(older), "mergedObjectIds": [int(booked)]}
    tell(desk.api, Events(portal.profile).booking("merge", older, **told))
    unlink(portal, older, "mock_exams", other.id)
    tell_unlinked(desk, portal, older, "mock_exams", other.id)

    assert create(desk.api, ben, exam).code == "EXAM_FULL"


def exams(portal: Portal) -> tuple[Exam, Exam]:
    return portal.exam(capacity=1), portal.exam(capacity=1, in_days=9)


def test_a_cancel_lowers_no_count_of_an_exam_that_lost_the_booking(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booked = book(desk, alice, exam)
    unlink(portal, booked, "mock_exams", exam.id)
    tell_unlinked(desk, portal, booked, "mock_exams", exam.id)

    cancelled = cancel(desk.api, alice, booked)

    assert cancelled.status == 200, cancelled.body
    assert cancelled.data["actions_completed"]["bookings_decremented"] is False
    assert stored_total(portal, exam) == 0
