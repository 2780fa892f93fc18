"""Real answers against the published schema: no field is missing, of another type or undocumented.

The list is written by hand for speed (`queries/page_rendering.py`) and documented elsewhere
(`api/bookings.py`); this keeps the two from drifting apart.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types
from pytest_django import Settings

from tests.api import Api, Reply
from tests.builders import Portal
from tests.published_schema import published

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
DETAIL = "/api/bookings/{booking_id}"
AVAILABLE = "/api/mock-exams/available"
VALIDATE = "/api/mock-exams/validate-credits"
JOB = "/api/cron/sync-capacity"


def assert_fits(api: Api, reply: Reply, method: str, path: str) -> None:
    """The answer is one the schema documents for this operation and status."""
    schema = published(api)
    answers = schema["paths"][path][method]["responses"]
    assert str(reply.status) in answers, reply.body
    documented = answers[str(reply.status)]["content"]["application/json"]["schema"]
    validator = Draft202012Validator(documented | {"components": schema["components"]})
    assert [error.message for error in validator.iter_errors(reply.body)] == []


def test_lists_fit(api: Api, portal: Portal) -> None:
    alice, bob = portal.student("alice"), portal.student("bob")
    gone, coming = portal.exam(in_days=2), portal.exam(in_days=3)
    portal.bookings(alice, [gone, coming])
    portal.archive(gone)

    for reply in (
        api.get(LIST, **alice.pair),
        api.get(LIST, limit=1, **alice.pair),
        api.get(LIST, **bob.pair),
        api.get(LIST, page=0, **alice.pair),
        api.get(LIST, **alice.pair | {"student_id": "S9"}),
    ):
        assert_fits(api, reply, "get", LIST)


def test_details_fit(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    gone, coming = portal.exam(in_days=2), portal.exam(in_days=3)
    bookings = portal.bookings(alice, [gone, coming])
    portal.archive(gone)

    replies = [api.get(f"/api/bookings/{booking.id}", **alice.pair) for booking in bookings]
    replies += [
        api.get(f"/api/bookings/{bookings[0].id}", **charlie.pair),
        api.get("/api/bookings/404404", **alice.pair),
    ]

    assert [reply.status for reply in replies] == [200, 200, 403, 404]
    for reply in replies:
        assert_fits(api, reply, "get", DETAIL)


def test_the_other_portals_answers_fit(their_api: Api, prepdoctors: Portal) -> None:
    alice = prepdoctors.student("alice")
    exam = prepdoctors.exam(mock_type="Clinical Skills")
    booking = prepdoctors.booking(alice, exam, dominant_hand="true")
    prepdoctors.enrollment(alice)

    assert_fits(their_api, their_api.get(LIST, **alice.pair), "get", LIST)
    detail = their_api.get(f"/api/bookings/{booking.id}", **alice.pair)
    assert_fits(their_api, detail, "get", DETAIL)
    credits_ = their_api.post(VALIDATE, mock_type="Mini-mock", **alice.pair)
    assert_fits(their_api, credits_, "post", VALIDATE)


def test_available_exams_fit(api: Api, portal: Portal) -> None:
    portal.exam_with_bookings(3)

    for query in ({"mock_type": "clinical"}, {"mock_type": "clinical", "realtime": "true"}, {}):
        assert_fits(api, api.get(AVAILABLE, **query), "get", AVAILABLE)


def test_credit_checks_fit(api: Api, portal: Portal) -> None:
    alice, bob = portal.student("alice"), portal.student("bob")

    for body in (
        {"mock_type": "clinical", **alice.pair},
        {"mock_type": "clinical", **bob.pair},
        {"mock_type": "clinical", **alice.pair, "email": bob.email},
        {"mock_type": "clinical", **alice.pair, "student_id": "S9"},
        {},
    ):
        assert_fits(api, api.post(VALIDATE, **body), "post", VALIDATE)


@pytest.mark.django_db
def test_what_monitors_read_fits(api: Api, portal: Portal) -> None:
    assert_fits(api, api.get("/api/health"), "get", "/api/health")
    assert_fits(api, api.get("/api/ready"), "get", "/api/ready")
    portal.sandbox.fault("status", path="batch/read", status=401)
    assert_fits(api, api.get("/api/ready"), "get", "/api/ready")


def test_no_answer_of_hubspot_is_documented(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.sandbox.fault("status", path="batch/read", status=401)

    assert_fits(api, api.get(LIST, **alice.pair), "get", LIST)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("UpdateRequest", "attending_location", "\x00)C"),
        ("UpdateRequest", "attending_location", " \t "),
        ("UpdateRequest", "attending_location", "Calgary, 2nd floor"),
        ("SyncRequest", "mock_exam_ids", [2**63]),
        ("SyncRequest", "mock_exam_ids", [10**21]),
    ],
)
def test_what_may_be_sent_is_what_is_taken(
    name: str, field: str, value: Any, api: Api, portal: Portal, settings: Settings
) -> None:
    settings.CRON_SECRET = "a-scheduler's-secret"
    asked = published(api)["components"]["schemas"][name]
    body = {**portal.student("alice").pair, field: value} if "Update" in name else {field: value}
    path, method = ("/api/bookings/1", "PATCH") if "Update" in name else (JOB, "POST")

    reply = api.send(
        method,
        path,
        body=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {settings.CRON_SECRET}"},
    )

    described = Draft202012Validator(asked["properties"][field]).is_valid(value)
    assert (reply.body.get("code") != "VALIDATION_ERROR") is described
