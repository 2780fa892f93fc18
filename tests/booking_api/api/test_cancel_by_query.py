"""`DELETE /api/bookings/{id}` where the pair is in the query, in the body, or in both."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from booking_api.desk.journal.models import JournalEntry
from tests.api import Api, Reply
from tests.builders import Booking, Portal, Student
from tests.desk import School, credit_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


def delete(
    api: Api, booking: Booking, query: Any, body: Any = b"", content_type: str = "application/json"
) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    path = f"/api/bookings/{booking.id}?{urlencode(query, doseq=True)}"
    return api.send("DELETE", path, body=raw, content_type=content_type)


@pytest.fixture
def alice(portal: Portal) -> Student:
    return portal.student("alice")


@pytest.fixture
def booking(portal: Portal, alice: Student) -> Booking:
    return portal.booking(alice, portal.exam())


def ways_to_say(pair: dict[str, str]) -> list[tuple[Any, Any]]:
    """Queries and bodies that name one student, and one reason or none."""
    student_id, email = pair["student_id"], pair["email"]
    shouted = {"student_id": f" {student_id.lower()} ", "email": email.upper()}
    return [
        (pair, b""),
        (pair, {}),
        (pair, pair),
        (pair, shouted),
        (shouted, pair),
        ({"email": email}, {"student_id": student_id}),
        ({"student_id": student_id}, {"email": email, "reason": "ill"}),
        (pair | {"reason": "ill"}, {}),
        (pair | {"reason": " ill "}, pair | {"reason": "ill"}),
        (pair | {"reason": ""}, {"reason": "ill"}),
        (pair | {"reason": "ill"}, {"reason": " "}),
        (pair | {"reason": "ill"}, {"reason": None}),
        ({"student_id": [student_id, student_id.lower()], "email": [email, email]}, {}),
    ]


def test_a_student_may_say_who_they_are_in_either_place_or_in_both(school: School) -> None:
    student = school.portal.student("alice")
    ways = ways_to_say(student.pair)
    exams = [school.portal.exam(in_days=7 + day) for day in range(len(ways))]
    bookings = school.portal.bookings(student, exams)

    for (query, body), one in zip(ways, bookings, strict=True):
        reply = delete(school.api, one, query, body)

        assert reply.status == 200, (query, body, reply.body)
        said = "ill" in str((query, body))
        assert reply.data.get("reason") == ("ill" if said else None)
    assert credit_of(school.portal, student) == 5 + len(ways)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_no_body_is_none_whatever_its_type(
    kind: str, api: Api, alice: Student, booking: Booking
) -> None:
    assert delete(api, booking, alice.pair, b"", kind).status == 200


def test_a_body_that_cannot_be_read_is_not_taken_for_none(
    api: Api, alice: Student, booking: Booking
) -> None:
    pair = alice.pair
    for body, kind, status, code in (
        (orjson.dumps(pair), "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (urlencode(pair).encode(), "application/x-www-form-urlencoded", 415, None),
        (b'{"student_id":', "application/json", 400, "MALFORMED_JSON"),
        (b"[]", "application/json", 400, "VALIDATION_ERROR"),
        (b"null", "application/json", 400, "VALIDATION_ERROR"),
        (b'"S1001"', "application/json", 400, "VALIDATION_ERROR"),
    ):
        reply = delete(api, booking, pair, body, kind)

        assert (reply.status, reply.code) == (status, code or "UNSUPPORTED_MEDIA_TYPE"), body
    assert JournalEntry.objects.count() == 0


def test_what_is_said_twice_must_be_the_same(
    api: Api, portal: Portal, alice: Student, booking: Booking
) -> None:
    pair, bob = alice.pair, portal.student("bob").pair
    for query, body, field in (
        (pair, bob, "student_id"),
        (pair, pair | {"email": bob["email"]}, "email"),
        (pair, {"student_id": bob["student_id"]}, "student_id"),
        (pair | {"reason": "ill"}, {"reason": "late"}, "reason"),
        (pair | {"reason": "ill"}, {"reason": "Ill"}, "reason"),
        (pair | {"email": [pair["email"], bob["email"]]}, {}, "email"),
        (pair | {"reason": ["ill", "late"]}, {}, "reason"),
        (pair, {"email": None}, "email"),
        (pair | {"email": ""}, pair, "email"),
        (pair | {"reason": "r" * 501}, {}, "reason"),
        (pair | {"reason": "ill"}, {"reason": ["ill"]}, "reason"),
        ({"email": pair["email"]}, {}, "student_id"),
        ({"student_id": pair["student_id"]}, {"reason": "ill"}, "email"),
    ):
        reply = delete(api, booking, query, body)

        assert (reply.status, reply.code) == (400, "VALIDATION_ERROR"), (query, body)
        assert any(said.startswith(f"{field}:") for said in reply.body["validationErrors"])
    assert JournalEntry.objects.count() == 0


def test_a_wrong_pair_in_the_query_is_no_student(
    api: Api, alice: Student, booking: Booking
) -> None:
    wrong = alice.pair | {"student_id": "S9999"}

    reply = delete(api, booking, wrong)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert "Server-Timing" not in reply.headers
