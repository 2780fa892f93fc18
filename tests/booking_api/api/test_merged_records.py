"""Contacts, bookings and exams that were merged: an old id means its survivor, on every path, in
both forms in which HubSpot's batches answer one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import Cause
from hubspot_sync.config import ApiVersion
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.builders import Booking, Exam, Portal, Student
from tests.desk import School, cancel, create, credit_of, stored_total, update
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

SHAPES: list[tuple[str, ApiVersion, bool]] = [
    ("default", "2026-09", True),
    ("default", "legacy", False),
    ("prepdoctors", "2026-03", True),
    ("prepdoctors", "2026-09", False),
]


# Two of them have both portals, both forms of paths and both kinds of batches.
IN_SLOW_TESTS = SHAPES[0], SHAPES[3]


@pytest.fixture(
    params=[
        pytest.param(shape, marks=[pytest.mark.chaos] if shape in IN_SLOW_TESTS else ())
        for shape in SHAPES
    ],
    ids=[f"{name}-{version}-{known}" for name, version, known in SHAPES],
)
def school(
    request: pytest.FixtureRequest, settings: Settings, sandbox: SandboxHandle
) -> Iterator[School]:
    """Each portal, with batches that know merged records and with such that leave them out."""
    name, version, known = request.param
    portal = Portal(sandbox, load_profile(name))
    sandbox.kind()
    sandbox.configure(batches_know_merged=known)
    with connected(settings, sandbox, portal=name, api_version=version) as api:
        yield School(api, portal)


def merge(school: School, survivor: object, other: object) -> None:
    """Merge in HubSpot, which tells nobody."""
    types = school.portal.profile.object_types
    kinds = {Student: types.contacts, Exam: types.mock_exams, Booking: types.bookings}
    ids = [each.id for each in (survivor, other)]  # type: ignore[attr-defined]
    school.portal.sandbox.merge(kinds[type(survivor)], *ids)


def forget_cached() -> None:
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)


def listed(school: School, student: Student) -> list[str]:
    reply = school.api.get("/api/bookings/list", **student.pair)
    return [booking["id"] for booking in reply.data["bookings"]]


def free_seats(school: School, exam: Exam, **query: str) -> dict[str, int]:
    reply = school.api.get("/api/mock-exams/available", mock_type=exam.mock_type, **query)
    return {one["mock_exam_id"]: one["available_slots"] for one in reply.data}


def recounted(school: School, settings: Settings, *exams: Exam) -> dict[str, list[dict[str, Any]]]:
    """What became of a recount of these exams."""
    settings.CRON_SECRET = "0123456789abcdef0123456789abcdef"
    reply = school.api.send(
        "POST",
        "/api/mock-exams/sync-capacity",
        body=orjson.dumps({"mock_exam_ids": [exam.id for exam in exams]}),
        headers={"Authorization": f"Bearer {settings.CRON_SECRET}"},
    )
    results: dict[str, list[dict[str, Any]]] = reply.data["results"]
    return results


def joined(student: Student, other: Student) -> Student:
    """The survivor, as somebody who knows the other's e-mail alone."""
    return Student(
        id=other.id,
        student_id=student.student_id,
        email=other.email.upper(),
        firstname=student.firstname,
        lastname=student.lastname,
        credits=student.credits,
    )


@pytest.mark.sampled
def test_a_contact_in_a_session_is_merged(school: School) -> None:
    """The browser knows the old contact id and the old e-mail; the cache the old contact."""
    portal = school.portal
    alice, dana = portal.student("alice"), portal.student("dana", student_id="S1001")
    first, second, third = (portal.exam(in_days=day, capacity=3) for day in (7, 8, 9))
    booked = create(school.api, dana, first).data["booking_record_id"]
    assert school.api.get(f"/api/bookings/{booked}", **dana.pair).status == 200
    merge(school, alice, dana)

    assert listed(school, dana) == [booked]
    forget_cached()
    session = joined(alice, dana)
    made = create(school.api, session, second)
    assert made.status == 201
    record_id = made.data["booking_record_id"]
    assert credit_of(portal, alice) == 4
    names = portal.profile.booking_properties
    if "contact_id" in names:
        assert school.stored(record_id)[names["contact_id"]] == alice.id
    for student in (session, alice, dana):
        assert listed(school, student) == [booked, record_id]
    asked = {"mock_type": first.mock_type, **session.pair}
    checked = school.api.post("/api/mock-exams/validate-credits", **asked).data
    assert checked["contact_id"] == alice.id
    assert checked["credit_breakdown"]["specific_credits"] == 4
    assert create(school.api, session, first).code == "DUPLICATE_BOOKING"
    assert create(school.api, alice, third).status == 201
    for each, left in ((booked, 4), (record_id, 5)):
        assert school.api.get(f"/api/bookings/{each}", **session.pair).status == 200
        assert update(school.api, session, each, attending_location="calgary").status == 200
        assert cancel(school.api, session, each).status == 200
        assert credit_of(portal, alice) == left
    assert (stored_total(portal, first), stored_total(portal, third)) == (0, 1)


@pytest.mark.sampled
def test_two_bookings_of_one_day_in_one_contact(school: School) -> None:
    portal = school.portal
    alice, dana = portal.student("alice"), portal.student("dana")
    morning, evening, more = (portal.exam(in_days=7) for _ in range(3))
    ids = [
        create(school.api, student, exam).data["booking_record_id"]
        for student, exam in ((alice, morning), (dana, evening))
    ]
    merge(school, alice, dana)
    forget_cached()

    assert sorted(listed(school, alice)) == sorted(ids)
    assert create(school.api, alice, more).code == "DUPLICATE_BOOKING"
    assert credit_of(portal, alice) == 4
    for left, each in enumerate(ids, start=5):
        assert cancel(school.api, alice, each).status == 200
        assert credit_of(portal, alice) == left
    assert create(school.api, alice, more).status == 201


@pytest.mark.sampled
def test_a_booking_is_merged(school: School) -> None:
    portal = school.portal
    alice, exam = portal.student("alice"), portal.exam(capacity=3, total_bookings=2)
    kept, old = (portal.booking(alice, exam) for _ in range(2))
    merge(school, kept, old)
    forget_cached()

    for record_id in (old.id, kept.id):
        reply = school.api.get(f"/api/bookings/{record_id}", **alice.pair)
        assert (reply.data["booking"]["id"], reply.data["mock_exam"]["id"]) == (kept.id, exam.id)
    assert listed(school, alice) == [kept.id]
    changed = update(school.api, alice, old.id, attending_location="calgary")
    assert changed.data["booking"]["id"] == kept.id
    location = portal.profile.booking_properties["attending_location"]
    assert school.stored(kept.id)[location].lower() == "calgary"
    assert free_seats(school, exam, realtime="true") == {exam.id: 2}
    charlie = portal.student("charlie")
    assert cancel(school.api, charlie, old.id).code == "ACCESS_DENIED"
    assert cancel(school.api, alice, old.id).status == 200
    assert credit_of(portal, alice) == 6
    assert stored_total(portal, exam) == 0
    assert cancel(school.api, alice, old.id).code == "ALREADY_CANCELED"
    assert cancel(school.api, alice, kept.id).code == "ALREADY_CANCELED"


@pytest.mark.sampled
def test_an_exam_is_merged(school: School) -> None:
    portal = school.portal
    alice, bob, charlie = (portal.student(name, credits=5) for name in ("alice", "bob", "charlie"))
    kept, old = (portal.exam(capacity=2) for _ in range(2))
    assert create(school.api, alice, old).status == 201
    assert free_seats(school, kept)[old.id] == 1
    merge(school, kept, old)

    made = create(school.api, bob, old)
    assert made.data["exam_details"]["mock_exam_id"] == kept.id
    assert create(school.api, charlie, old).code == "EXAM_FULL"
    assert create(school.api, charlie, kept).code == "EXAM_FULL"
    forget_cached()
    assert free_seats(school, kept) == free_seats(school, kept, realtime="true") == {kept.id: 0}
    booking_id = listed(school, alice)[0]
    assert cancel(school.api, alice, booking_id).status == 200
    assert stored_total(portal, kept) == 1
    assert create(school.api, bob, kept).code == "DUPLICATE_BOOKING"


def test_an_exam_is_counted_by_its_old_id(school: School, settings: Settings) -> None:
    portal = school.portal
    kept, _ = portal.exam_with_bookings(2, total_bookings=0)
    old, _ = portal.exam_with_bookings(1)
    merge(school, kept, old)

    updated = recounted(school, settings, old, kept)["updated"]

    counts = {one["examId"]: one["actualCount"] for one in updated}
    assert counts == {old.id: 3, kept.id: 3}
    assert stored_total(portal, kept) == 3


def test_the_survivor_is_deleted(school: School, settings: Settings) -> None:
    """By the old ids there is nothing then, and nobody is told to come again for ever."""
    portal = school.portal
    alice = portal.student("alice")
    exams = [portal.exam(capacity=2) for _ in range(2)]
    bookings = [portal.booking(alice, portal.exam(in_days=20)) for _ in range(2)]
    for kept, old in (exams, bookings):
        merge(school, kept, old)
        portal.archive(kept)

    assert create(school.api, alice, exams[1]).code == "EXAM_NOT_FOUND"
    old_id = bookings[1].id
    assert school.api.get(f"/api/bookings/{old_id}", **alice.pair).code == "BOOKING_NOT_FOUND"
    assert update(school.api, alice, old_id, attending_location="calgary").code == (
        "BOOKING_NOT_FOUND"
    )
    assert cancel(school.api, alice, old_id).code == "BOOKING_NOT_FOUND"
    assert recounted(school, settings, exams[1])["failed"] == [
        {"examId": exams[1].id, "error": "There is no such mock exam."}
    ]


def test_the_survivor_is_deleted_and_restored(school: School) -> None:
    """That nobody was there a moment ago says nothing of now."""
    portal, types = school.portal, school.portal.profile.object_types
    alice = portal.student("alice")
    exams = [portal.exam(capacity=2) for _ in range(2)]
    bookings = [portal.booking(alice, portal.exam(in_days=20)) for _ in range(2)]
    for kept, old in (exams, bookings):
        merge(school, kept, old)
        portal.archive(kept)
    path = f"/api/bookings/{bookings[1].id}"
    assert create(school.api, alice, exams[1]).code == "EXAM_NOT_FOUND"
    assert school.api.get(path, **alice.pair).code == "BOOKING_NOT_FOUND"

    portal.sandbox.restore(types.mock_exams, exams[0].id)
    portal.sandbox.restore(types.bookings, bookings[0].id)

    assert create(school.api, alice, exams[1]).status == 201
    assert school.api.get(path, **alice.pair).data["booking"]["id"] == bookings[0].id


def test_what_a_student_changes_by_an_old_id_they_see_by_it(school: School) -> None:
    """They have looked at it before it was merged, of which nobody told."""
    portal = school.portal
    alice = portal.student("alice")
    survivor, other = (portal.booking(alice, portal.exam(in_days=days)) for days in (7, 9))
    shown = f"/api/bookings/{other.id}"
    assert school.api.get(shown, **alice.pair).data["booking"]["id"] == other.id
    merge(school, survivor, other)

    changed = update(school.api, alice, other.id, attending_location="calgary")
    assert cancel(school.api, alice, other.id).status == 200

    assert changed.data["booking"]["id"] == survivor.id
    seen = school.api.get(shown, **alice.pair).data["booking"]
    assert (seen["id"], seen["status"]) == (survivor.id, "cancelled")
