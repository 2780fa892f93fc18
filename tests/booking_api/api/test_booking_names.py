"""A booking by the id that people read, wherever its record's id is taken."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.desk import School, active_bookings, cancel, create, credit_of, update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


def path_of(name: str) -> str:
    return f"/api/bookings/{quote(name, safe='')}"


def test_what_create_answers_shows_changes_and_cancels_the_booking(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam).data
    name, record_id = booked["booking_id"], booked["booking_record_id"]

    shown = school.api.get(path_of(name), **alice.pair).data
    changed = update(school.api, alice, quote(name), attending_location="calgary").data
    canceled = cancel(school.api, alice, quote(name))
    again = cancel(school.api, alice, quote(name))

    assert (shown["booking"]["id"], shown["mock_exam"]["id"]) == (record_id, exam.id)
    assert changed["booking"]["id"] == record_id
    assert changed["booking"]["attending_location"] == "calgary"
    assert (canceled.status, canceled.data["booking_id"]) == (200, name)
    assert (again.status, again.code) == (409, "ALREADY_CANCELED")
    assert active_bookings(school.portal, exam) == []
    assert credit_of(school.portal, alice) == 5


@pytest.mark.parametrize("mock_type", ["Clinical Skills", "SJ/CS", "Ärztliche Prüfung", "50%"])
def test_blanks_slashes_and_letters_are_percent_encoded(
    mock_type: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    name = f"{mock_type}-S1001-2026-12-03"
    booking = portal.booking(alice, portal.exam(), booking_id=name)

    for spelling in (name, name.upper(), name.lower(), f"  {name.replace(' ', '   ')} "):
        for address in (path_of(spelling), f"{path_of(spelling)}/"):
            assert api.get(address, **alice.pair).data["booking"]["id"] == booking.id


@pytest.mark.parametrize("states", [("cancelled", "active"), ("active", "cancelled")])
def test_of_several_the_active_one_is_meant_else_the_newest(
    school: School, states: tuple[str, str]
) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    created = ["2026-10-01T08:00:00Z", "2026-10-02T08:00:00Z", "2026-09-01T08:00:00Z"]
    older, newer, _ = (
        school.portal.booking(alice, exam, state=state, created_at=at)
        for state, at in zip([*states, "cancelled"], created, strict=True)
    )
    active = older if states[0] == "active" else newer

    assert cancel(school.api, alice, quote(older.booking_id)).status == 200

    shown = school.api.get(path_of(older.booking_id), **alice.pair).data["booking"]
    assert shown["id"] == newer.id
    assert (
        school.stored(active.id)["is_active"] in school.portal.profile.booking_states["cancelled"]
    )


def test_another_students_is_denied_and_one_that_is_not_there_is_not_found(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")
    exam = school.portal.exam()
    theirs = school.portal.booking(charlie, exam)
    linked = school.portal.booking(charlie, school.portal.exam(in_days=9), booking_id="Friday's")
    types = school.portal.profile.object_types
    school.portal.sandbox.associate(types.bookings, linked.id, types.contacts, alice.id)
    nowhere = f"{exam.mock_type}-S1001-{exam.day}"

    for name, expected in (
        (theirs.booking_id, (403, "ACCESS_DENIED")),
        ("Friday's", (403, "ACCESS_DENIED")),
        (nowhere, (404, "BOOKING_NOT_FOUND")),
        ("undefined", (404, "BOOKING_NOT_FOUND")),
    ):
        replies = [
            school.api.get(path_of(name), **alice.pair),
            update(school.api, alice, quote(name), dominant_hand=True),
            cancel(school.api, alice, quote(name)),
        ]
        assert {(reply.status, reply.code) for reply in replies} == {expected}, name
    assert len(school.bookings) == 2


def test_what_is_changed_is_looked_for_in_hubspot_and_not_in_the_cache(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    first = school.portal.booking(alice, exam, state="cancelled")
    assert school.api.get(path_of(first.booking_id), **alice.pair).status == 200
    second = school.portal.booking(alice, exam)  # nobody tells us of it

    assert cancel(school.api, alice, quote(first.booking_id)).status == 200

    shown = school.api.get(f"/api/bookings/{second.id}", **alice.pair).data["booking"]
    assert shown["status"] == "cancelled"


def test_a_booking_that_hubspot_does_not_list_yet_can_be_cancelled(school: School) -> None:
    school.portal.sandbox.configure(association_lag_s=60)
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam).data

    canceled = cancel(school.api, alice, quote(booked["booking_id"]))

    assert canceled.status == 200, canceled.body
    assert active_bookings(school.portal, exam) == []


def test_whoever_is_no_student_costs_nothing_by_it(school: School) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam())
    school.api.get(path_of(booking.booking_id), student_id="S9999", email=alice.email)
    school.portal.sandbox.clear_calls()

    reply = school.api.get(path_of(booking.booking_id), student_id="S9999", email=alice.email)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert school.portal.sandbox.calls_count() == 0


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_booking_that_may_be_the_one_and_cannot_be_read_is_not_called_absent(
    is_refused: bool, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    bookings = portal.profile.object_types.bookings
    if is_refused:
        refused = {"object_type": bookings, "id": booking.id, "operations": "objects.batch_read"}
        portal.sandbox.configure(refused_records=[refused])
    else:
        portal.sandbox.fault("partial", path=f"{bookings}/batch/read", last=1)

    reply = api.get(path_of(booking.booking_id), **alice.pair)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")


def test_a_name_has_255_characters_at_most_and_no_other_address_is_one(
    api: Api, portal: Portal
) -> None:
    alice, long = portal.student("alice"), "x" * 244 + "-2026-12-03"
    booking = portal.booking(alice, portal.exam(), booking_id=long)

    assert api.get(path_of(long), **alice.pair).data["booking"]["id"] == booking.id
    too_long = api.get(path_of(f"x{long}"), **alice.pair)
    elsewhere = api.get(f"/api/bookings/{booking.id}/notes", **alice.pair)
    assert (too_long.status, too_long.code) == (400, "VALIDATION_ERROR")
    assert (elsewhere.status, elsewhere.code) == (404, "NOT_FOUND")
