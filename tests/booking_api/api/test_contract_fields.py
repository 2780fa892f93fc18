"""What the frontends of today look into: sentences, words and types of single fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.desk import School, create, create_body, update

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
VALIDATE = "/api/mock-exams/validate-credits"
TYPES = {"default": "clinical", "prepdoctors": "Clinical Skills"}


def test_the_sentences_that_programs_read_have_their_words(school: School) -> None:
    bob, exam = school.portal.student("bob"), school.portal.exam()
    mock_type = exam.mock_type

    unknown = school.api.post(VALIDATE, mock_type=mock_type, **(bob.pair | {"student_id": "S9"}))
    other = school.api.post(VALIDATE, mock_type=mock_type, **(bob.pair | {"email": "x@y.org"}))
    poor = create(school.api, bob, exam)

    assert (unknown.status, unknown.code) == (404, "STUDENT_NOT_FOUND")
    assert "not found" in unknown.body["error"]
    assert (other.status, other.code) == (400, "EMAIL_MISMATCH")
    assert "Email does not match" in other.body["error"]
    assert (poor.status, poor.code) == (400, "INSUFFICIENT_CREDITS")
    assert "credit" in poor.body["error"].split()


def test_only_the_exam_of_a_row_says_in_a_text_whether_it_is_active(school: School) -> None:
    alice = school.portal.student("alice")
    open_, closed = school.portal.exam(in_days=3), school.portal.exam(in_days=4, active=False)
    booking = school.portal.bookings(alice, [open_, closed])[0]

    rows = school.api.get(LIST, **alice.pair).data["bookings"]
    detail = school.api.get(f"/api/bookings/{booking.id}", **alice.pair).data
    changed = update(school.api, alice, booking.id, dominant_hand=True).data
    offered = school.api.get(AVAILABLE, mock_type=open_.mock_type).data

    assert [row["mock_exam"]["is_active"] for row in rows] == ["true", "false"]
    assert detail["mock_exam"]["is_active"] is changed["mock_exam"]["is_active"] is True
    assert [exam["is_active"] for exam in offered] == [True]


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("", "", "Student"),
        (" ", "  ", "Student"),
        ("Ada", "", "Ada"),
        ("", "Lovelace", "Lovelace"),
    ],
)
def test_a_student_is_called_by_what_there_is_of_a_name(
    first: str, last: str, shown: str, school: School
) -> None:
    alice = school.portal.student("alice", firstname=first, lastname=last)

    data = school.api.post(VALIDATE, mock_type=school.portal.first_type.value, **alice.pair).data

    assert data["student_name"] == shown


@pytest.mark.parametrize(("query", "status"), [({"filter": ""}, 200), ({"filter": "some"}, 400)])
def test_an_empty_filter_is_all(query: dict[str, str], status: int, school: School) -> None:
    alice = school.portal.student("alice")
    school.portal.booking(alice, school.portal.exam(in_days=-3))
    school.portal.booking(alice, school.portal.exam(), state="cancelled")

    reply = school.api.get(LIST, **alice.pair, **query)

    assert reply.status == status
    if status == 200:
        page = school.api.get(LIST, **alice.pair, filter="all", limit=1).data["pagination"]
        rest = school.api.get(LIST, **alice.pair, **query, limit=1, after=page["next"])
        assert len(reply.data["bookings"]) == 2
        assert len(rest.data["bookings"]) == 1


@pytest.mark.parametrize("realtime", [False, True])
def test_an_exam_without_a_place_or_with_an_impossible_count_is_shown(
    realtime: bool, school: School
) -> None:
    exam = school.portal.exam(capacity=5, location=" ", total_bookings=-2)

    row = school.api.get(AVAILABLE, mock_type=exam.mock_type, realtime=realtime).data[0]

    shown = (row["location"], row["total_bookings"], row["available_slots"])
    assert shown == ("TBD", 0, 5)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("junk", ["atlantis", "", None, 7, ["calgary"], {"a": 1}, True])
def test_a_field_of_another_mock_type_is_ignored_whatever_it_holds(
    junk: Any, school: School
) -> None:
    alice = school.portal.student("alice")
    exam = school.portal.exam(mock_type=TYPES[school.portal.profile.name])
    wanted = create_body(alice, exam).keys()
    foreign = {"dominant_hand", "attending_location"} - wanted

    booked = create(school.api, alice, exam, key="k", **dict.fromkeys(foreign, junk))
    again = create(school.api, alice, exam, key="k")

    assert booked.status == 201, booked.body
    assert (again.status, again.data["idempotent_request"]) == (200, True)
    stored = school.stored(booked.data["booking_record_id"])
    assert not any(stored.get(name) for name in foreign)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "spelled",
    ["richmond_hill", "Richmond Hill", "richmond hill", "RICHMOND_HILL", " Richmond Hill "],
)
def test_a_place_is_taken_in_every_spelling(
    spelled: str, their_api: Api, prepdoctors: Portal
) -> None:
    school = School(their_api, prepdoctors)
    alice, exam = prepdoctors.student("alice"), prepdoctors.exam(mock_type="Mini-mock")

    booked = create(their_api, alice, exam, key="k", attending_location=spelled)
    again = create(their_api, alice, exam, key="k", attending_location="richmond_hill")
    record_id = booked.data["booking_record_id"]
    stored = school.stored(record_id)["attending_location"]
    update(their_api, alice, record_id, attending_location="calgary")
    changed = update(their_api, alice, record_id, attending_location=spelled)

    assert (booked.status, again.status, stored) == (201, 200, "Richmond Hill")
    assert changed.data["booking"]["attending_location"] == "richmond_hill"
    assert school.stored(record_id)["attending_location"] == "Richmond Hill"


def test_scripts_of_other_sites_may_say_that_they_are_scripts(school: School) -> None:
    asked = "x-requested-with, content-type, idempotency-key"
    reply = school.api.send(
        "OPTIONS",
        "/api/bookings/create",
        headers={
            "Origin": "https://frontend.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )

    allowed = reply.headers["Access-Control-Allow-Headers"].split(", ")
    assert set(asked.split(", ")) <= set(allowed)
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers
