"""`GET /api/bookings/{id}`."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db


def test_a_booking_is_shown_with_everything_around_it(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    exam = portal.exam(in_days=3)
    booking = portal.booking(alice, exam)

    data = api.get(f"/api/bookings/{booking.id}", **alice.pair).data

    assert data["booking"]["id"] == booking.id
    assert data["booking"]["booking_id"] == booking.booking_id
    assert data["booking"]["status"] == "scheduled"
    assert set(data["booking"]) == {
        *("id", "booking_id", "name", "email", "dominant_hand", "status", "is_active"),
        *("created_at", "updated_at", "attending_location"),
    }
    assert data["mock_exam"]["id"] == exam.id
    assert data["contact"] == {
        "id": alice.id,
        "firstname": "Alice",
        "lastname": "Moreau",
        "student_id": "S1001",
    }
    assert data["enrollment"] is None


def test_a_booking_whose_exam_is_archived_is_shown_without(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    exam = portal.exam(in_days=3)
    booking = portal.booking(alice, exam)
    portal.archive(exam)

    data = api.get(f"/api/bookings/{booking.id}", **alice.pair).data

    assert data["mock_exam"] is None
    assert data["booking"]["status"] == "scheduled"


def test_another_students_booking_is_denied(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    booking = portal.booking(charlie, portal.exam())

    reply = api.get(f"/api/bookings/{booking.id}", **alice.pair)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")


@pytest.mark.parametrize("id_", ["123", "no-number"])
def test_a_wrong_pair_is_told_so_before_anything_about_the_booking(
    id_: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")

    reply = api.get(f"/api/bookings/{id_}", student_id="S9999", email=alice.email)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")


@pytest.mark.parametrize("id_", ["404404", "undefined", "12a", "9" * 40, "١٢"])
def test_an_id_that_is_no_bookings_is_not_found(id_: str, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")

    reply = api.get(f"/api/bookings/{id_}", **alice.pair)

    assert (reply.status, reply.code) == (404, "BOOKING_NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/bookings", "/api/bookings/", "/api/bookings/%20"])
def test_a_blank_id_is_missing(path: str, api: Api, portal: Portal) -> None:
    reply = api.get(path, **portal.student("alice").pair)

    assert (reply.status, reply.code) == (400, "MISSING_BOOKING_ID")


@pytest.mark.parametrize("part", ["2-50158943/batch/read", "2-50158943/0-1/batch/read"])
def test_a_part_that_decides_and_is_unknown_is_an_error(
    part: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    portal.sandbox.fault("partial", path=part, last=1)

    reply = api.get(f"/api/bookings/{booking.id}", **alice.pair)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")


def test_the_newest_registered_enrollment_is_shown_where_the_portal_has_them(
    their_api: Api, prepdoctors: Portal
) -> None:
    alice = prepdoctors.student("alice")
    booking = prepdoctors.booking(
        alice, prepdoctors.exam(mock_type="Clinical Skills"), dominant_hand="true"
    )
    prepdoctors.enrollment(alice)
    newest = prepdoctors.enrollment(alice, course_id="NDECC-2")
    prepdoctors.enrollment(alice, enrollment_status="Cancelled")
    prepdoctors.enrollment(prepdoctors.student("charlie"))
    prepdoctors.sandbox.advance(60)

    data = their_api.get(f"/api/bookings/{booking.id}", **alice.pair).data

    assert data["enrollment"] == {
        "id": newest,
        "enrollment_id": f"ENR-{newest}",
        "course_id": "NDECC-2",
        "enrollment_status": "Registered",
    }
    assert data["booking"]["dominant_hand"] is True
    assert data["booking"]["is_active"] == "Active"
