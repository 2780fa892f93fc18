"""`POST /api/bookings/create`: what may be sent; for what may not, HubSpot is asked nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from booking_api.desk.journal.models import JournalEntry
from tests.api import Api, Reply
from tests.builders import Portal
from tests.desk import CREATE, create, create_body

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contact_id", None),
        ("contact_id", "12a"),
        ("contact_id", ""),
        ("mock_exam_id", None),
        ("mock_exam_id", "../1"),
        ("mock_exam_id", "1" * 21),
        ("student_id", None),
        ("student_id", "\u017f1001"),
        ("student_id", "S 1"),
        ("email", None),
        ("email", "no-address"),
        ("name", None),
        ("name", "A"),
        ("name", "A" * 101),
        ("name", {"first": "Alice"}),
        ("exam_date", None),
        ("exam_date", "24/12/2026"),
        ("exam_date", "2026-02-30"),
        ("mock_type", None),
        ("mock_type", "no such type"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(
    field: str, value: Any, api: Api, portal: Portal
) -> None:
    body = create_body(portal.student("alice"), portal.exam()) | {field: value}
    if value is None:
        del body[field]

    reply = posted(api, body)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert [sentence.split(":")[0] for sentence in reply.body["validationErrors"]] == [field]
    assert JournalEntry.objects.count() == 0
    assert portal.sandbox.calls_count() == 0


@pytest.mark.parametrize("length", [2, 100])
def test_names_of_any_sensible_length_are_taken(length: int, api: Api, portal: Portal) -> None:
    reply = create(api, portal.student("alice"), portal.exam(), name="é" * length)

    assert reply.status == 201


@pytest.mark.parametrize(
    ("mock_type", "fields", "named"),
    [
        ("Clinical Skills", {"dominant_hand": None}, ["dominant_hand"]),
        ("Clinical Skills", {"dominant_hand": "left"}, ["dominant_hand"]),
        ("Situational Judgment", {"attending_location": None}, ["attending_location"]),
        ("Situational Judgment", {"attending_location": ""}, ["attending_location"]),
        ("Situational Judgment", {"attending_location": "atlantis"}, ["attending_location"]),
        ("Mini-mock", {"attending_location": None}, ["attending_location"]),
        (
            "Mini-mock",
            {"attending_location": None, "dominant_hand": "left"},
            ["attending_location"],
        ),
    ],
)
def test_the_fields_of_a_mock_type_are_wanted(
    mock_type: str,
    fields: dict[str, Any],
    named: list[str],
    their_api: Api,
    prepdoctors: Portal,
) -> None:
    alice, exam = prepdoctors.student("alice"), prepdoctors.exam(mock_type=mock_type)

    reply = create(their_api, alice, exam, **fields)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert sorted(sentence.split(":")[0] for sentence in reply.body["validationErrors"]) == named
    assert prepdoctors.sandbox.calls_count() == 0


def test_fields_left_empty_are_no_fields(api: Api, portal: Portal) -> None:
    empty = {"dominant_hand": None, "attending_location": None}

    assert create(api, portal.student("alice"), portal.exam(), **empty).status == 201


def posted(api: Api, body: dict[str, Any]) -> Reply:
    return api.send("POST", CREATE, body=orjson.dumps(body))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_books(method: str, api: Api) -> None:
    reply = api.send(method, CREATE)

    assert (reply.status, reply.code) == (405, "METHOD_NOT_ALLOWED")
