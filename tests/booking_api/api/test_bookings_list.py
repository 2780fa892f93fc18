"""`GET /api/bookings/list`."""

from __future__ import annotations

from datetime import time

import pytest

from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"


def test_a_student_without_bookings_gets_an_empty_list(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")

    data = api.get(LIST, **alice.pair).data

    assert data["bookings"] == []
    assert data["pagination"] == {
        "current_page": 1,
        "total_pages": 0,
        "total_bookings": 0,
        "has_next": False,
        "has_previous": False,
        "page": 1,
        "limit": 20,
        "total": 0,
        "hasMore": False,
        "next": None,
    }
    assert data["credits"] == {"credits_clinical": 5, "credits_osce": 5, "credits_written": 5}


def test_a_booking_is_shown_with_its_exam(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    exam = portal.exam(in_days=3, start=time(9), end=time(13), capacity=20, total_bookings=1)
    booking = portal.booking(alice, exam)

    (row,) = api.get(LIST, **alice.pair).data["bookings"]

    exam_fields = {
        "mock_type": "clinical",
        "exam_date": exam.day.isoformat(),
        "location": "Mississauga",
        "start_time": "09:00",
        "end_time": "13:00",
    }
    assert row == {
        "id": booking.id,
        "booking_id": booking.booking_id,
        "booking_number": booking.booking_id,
        "name": "Alice Moreau",
        "email": alice.email,
        "dominant_hand": False,
        "attending_location": "",
        **exam_fields,
        "is_active": "true",
        "status": "scheduled",
        "created_at": "2026-10-01T08:00:00Z",
        "mock_exam_id": exam.id,
        "mock_exam": {
            "id": exam.id,
            **exam_fields,
            "capacity": 20,
            "total_bookings": 1,
            "is_active": "true",
        },
    }


def test_each_filter_shows_its_bookings_and_says_their_status(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    past, soon, later = (portal.exam(in_days=days) for days in (-5, 2, 9))
    portal.booking(alice, past)
    portal.booking(alice, later)
    portal.booking(alice, soon)
    portal.booking(alice, soon, state="cancelled")

    def shown(filter_: str) -> list[tuple[str, str]]:
        rows = api.get(LIST, filter=filter_, **alice.pair).data["bookings"]
        return [(row["mock_exam_id"], row["status"]) for row in rows]

    assert shown("upcoming") == [(soon.id, "scheduled"), (later.id, "scheduled")]
    assert shown("past") == [(past.id, "completed")]
    assert shown("cancelled") == [(soon.id, "cancelled")]
    assert len(shown("all")) == 4


def test_a_booking_whose_exam_is_archived_stays_in_the_list(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    exam = portal.exam(in_days=4)
    portal.booking(alice, exam)
    portal.archive(exam)

    (row,) = api.get(LIST, **alice.pair).data["bookings"]

    assert row["mock_exam"] is None
    assert row["mock_exam_id"] == exam.id
    assert row["exam_date"] == exam.day.isoformat()
    assert (row["location"], row["start_time"], row["status"]) == (None, None, "scheduled")


def test_an_archived_booking_leaves_the_list(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    kept, gone = portal.bookings(alice, [portal.exam(in_days=2), portal.exam(in_days=3)])
    portal.archive(gone)

    data = api.get(LIST, **alice.pair).data

    assert [row["id"] for row in data["bookings"]] == [kept.id]
    assert data["pagination"]["total"] == 1


def test_nobody_sees_another_students_bookings(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    exam = portal.exam()
    portal.booking(charlie, exam)

    assert api.get(LIST, **alice.pair).data["bookings"] == []


def test_the_e_mail_is_compared_whatever_its_case(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")

    reply = api.get(LIST, student_id=alice.student_id, email=alice.email.upper())

    assert reply.status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"student_id": "S1003"},
        {"email": "charlie.novak.s1003@example.org"},
        {"email": "nobody@example.org"},
    ],
)
def test_a_pair_that_is_not_one_contacts_is_refused_alike(
    wrong: dict[str, str], api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.student("charlie")

    reply = api.get(LIST, **alice.pair | wrong)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert reply.body["error"] == "Student ID and e-mail do not match."


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"page": "0"}, "page: "),
        ({"page": "x"}, "page: "),
        ({"page": "99999999999999999999"}, "page: "),
        ({"limit": "0"}, "limit: "),
        ({"limit": "1000"}, "limit: "),
        ({"filter": "unknown"}, "filter: "),
        ({"after": "nonsense"}, "after: "),
        ({"student_id": ""}, "student_id: "),
        ({"student_id": "S\u017f1001"}, "student_id: "),
        ({"student_id": "S1001'"}, "student_id: "),
        ({"email": "not-an-e-mail"}, "email: "),
        ({"email": "\u0001@example.org"}, "email: "),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_reason(
    query: dict[str, str], sentence: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")

    reply = api.get(LIST, **alice.pair | query)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.body["validationErrors"][0].startswith(sentence)


@pytest.mark.parametrize("page", ["2", "0", "nonsense"])
def test_beside_a_cursor_the_page_is_ignored(page: str, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.bookings(alice, [portal.exam(in_days=days) for days in (2, 3, 4)])
    cursor = api.get(LIST, limit=1, **alice.pair).data["pagination"]["next"]

    alone = api.get(LIST, limit=1, after=cursor, **alice.pair).data
    beside = api.get(LIST, limit=1, after=cursor, page=page, **alice.pair).data

    assert alone == beside


def test_an_empty_cursor_is_none(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.bookings(alice, [portal.exam(in_days=days) for days in (2, 3, 4)])

    data = api.get(LIST, limit=1, after="", page=2, **alice.pair).data

    assert data["pagination"]["page"] == 2


def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    reply = api.get(LIST, page="0", limit="1000")

    assert len(reply.body["validationErrors"]) == 4


def test_a_walk_by_cursor_meets_a_booking_made_meanwhile_without_repeating_one(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    made = portal.bookings(alice, [portal.exam(in_days=days) for days in range(2, 9)])
    first = api.get(LIST, limit=3, **alice.pair).data
    portal.booking(alice, portal.exam(in_days=1))

    seen = [row["id"] for row in first["bookings"]]
    after = first["pagination"]["next"]
    while after is not None:
        data = api.get(LIST, limit=3, after=after, page=99, **alice.pair).data
        seen += [row["id"] for row in data["bookings"]]
        after = data["pagination"]["next"]

    assert seen == [booking.id for booking in made]


@pytest.mark.parametrize(
    "part",
    [
        "objects/2026-09/0-1/batch/read",
        "associations/2026-09/0-1/2-50158943/batch/read",
        "objects/2026-09/2-50158943/batch/read",
        "associations/2026-09/2-50158943/2-50158913/batch/read",
        "objects/2026-09/2-50158913/batch/read",
    ],
)
def test_part_of_the_answer_unknown_is_an_error_and_not_a_shorter_list(
    part: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.bookings(alice, [portal.exam(in_days=days) for days in (2, 3, 4)])
    portal.sandbox.fault("partial", path=part, last=1)

    reply = api.get(LIST, **alice.pair)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert reply.body["retryAfter"] == int(reply.headers["Retry-After"]) >= 1
