"""`PATCH /api/bookings/{id}`, as callers see it, over both portals."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from booking_api.desk.journal.models import JournalEntry, OutboxNote
from tests.api import Api
from tests.builders import Portal
from tests.desk import School, create, credit_of, stored_total, update

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_is_stored_and_answered_like_a_get(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booking = school.portal.booking(alice, exam)

    reply = update(
        school.api, alice, booking.id, attending_location="richmond_hill", dominant_hand=True
    )

    assert reply.status == 200, reply.body
    assert reply.data["booking"]["attending_location"] == "richmond_hill"
    assert reply.data["booking"]["dominant_hand"] is True
    assert school.api.get(f"/api/bookings/{booking.id}", **alice.pair).data == reply.data
    choices = school.portal.profile.choices.get("attending_location", {})
    stored = school.stored(booking.id)
    assert stored["attending_location"] == choices.get("richmond_hill", "richmond_hill")
    assert stored["dominant_hand"] == "true"


def test_what_was_cached_before_shows_the_change_in_the_very_next_read(school: School) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam(), attending_location="Calgary")
    for path in ("/api/bookings/list", f"/api/bookings/{booking.id}"):
        assert school.api.get(path, **alice.pair).status == 200

    update(school.api, alice, booking.id, attending_location="montreal")

    listed = school.api.get("/api/bookings/list", **alice.pair).data["bookings"]
    detail = school.api.get(f"/api/bookings/{booking.id}", **alice.pair).data["booking"]
    assert [one["attending_location"] for one in listed] == ["montreal"]
    assert detail["attending_location"] == "montreal"


def test_nothing_else_is_touched(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam).data["booking_record_id"]
    before = school.stored(booked)

    update(school.api, alice, booked, attending_location="vancouver")

    changed = {name for name, value in school.stored(booked).items() if before.get(name) != value}
    assert {name for name in changed if not name.startswith("hs_")} == {"attending_location"}
    assert credit_of(school.portal, alice) == 4
    assert stored_total(school.portal, exam) == 1
    assert OutboxNote.objects.filter(entry__kind="update").count() == 0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, None),
        ({"is_active": "true"}, "is_active"),
        ({"name": "Mallory", "attending_location": "calgary"}, "name"),
        ({"token_used": "Shared Token"}, "token_used"),
        ({"contact_id": "1"}, "contact_id"),
        ({"dominant_hand": "left"}, "dominant_hand"),
        ({"dominant_hand": None}, "dominant_hand"),
        ({"attending_location": None}, "attending_location"),
        ({"attending_location": ""}, "attending_location"),
        ({"attending_location": ["calgary"]}, "attending_location"),
    ],
)
def test_what_cannot_be_changed_is_named(
    fields: dict[str, Any], named: str | None, school: School
) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam())

    reply = update(school.api, alice, booking.id, **fields)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    if named is not None:
        assert [one.split(":")[0] for one in reply.body["validationErrors"]] == [named]
    assert JournalEntry.objects.count() == 0


def test_a_place_the_portal_does_not_have_is_refused(their_api: Api, prepdoctors: Portal) -> None:
    alice = prepdoctors.student("alice")
    booking = prepdoctors.booking(alice, prepdoctors.exam())

    reply = update(their_api, alice, booking.id, attending_location="atlantis")

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert "mississauga, calgary" in reply.body["error"]


def test_another_students_booking_is_denied(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")
    booking = school.portal.booking(charlie, school.portal.exam())

    reply = update(school.api, alice, booking.id, dominant_hand=True)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert not school.stored(booking.id).get("dominant_hand")


def test_a_wrong_pair_changes_nothing(school: School) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam())

    reply = update(school.api, alice, booking.id, student_id="S9999", dominant_hand=True)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert not school.stored(booking.id).get("dominant_hand")


def test_a_cancelled_booking_is_not_changed(school: School) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam(), state="cancelled")

    reply = update(school.api, alice, booking.id, dominant_hand=True)

    assert (reply.status, reply.code) == (409, "ALREADY_CANCELED")


@pytest.mark.parametrize("id_", ["404404", "12a"])
def test_a_booking_that_is_not_there_is_not_found(id_: str, school: School) -> None:
    reply = update(school.api, school.portal.student("alice"), id_, dominant_hand=True)

    assert (reply.status, reply.code) == (404, "BOOKING_NOT_FOUND")


def test_a_blank_id_is_missing(api: Api, portal: Portal) -> None:
    body = orjson.dumps({**portal.student("alice").pair, "dominant_hand": True})

    reply = api.send("PATCH", "/api/bookings/", body=body)

    assert (reply.status, reply.code) == (400, "MISSING_BOOKING_ID")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bookings_know_no_other_methods(method: str, api: Api, portal: Portal) -> None:
    reply = api.send(method, "/api/bookings/123", body=b"{}")

    assert (reply.status, reply.code) == (405, "METHOD_NOT_ALLOWED")
    assert set(reply.headers["Allow"].split(", ")) >= {"GET", "PATCH", "DELETE"}
