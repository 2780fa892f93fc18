"""The line that is logged of each request, under both sets of names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.desk import School, create
from tests.webhooks import Events, tell

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/bookings/list"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that gives the lines of all requests so far."""
    caplog.set_level(logging.INFO, logger="booking_api")

    def read() -> list[dict[str, Any]]:
        events = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        return [event for event in events if event["event"] == "request"]

    return read


def test_a_line_says_what_was_asked_and_what_it_cost(school: School, lines: Any) -> None:
    alice = school.portal.student("alice")
    school.portal.bookings(alice, [school.portal.exam(), school.portal.exam(in_days=9)])
    headers = {"X-Request-ID": "trace-1"}

    school.api.get(LIST, **alice.pair, headers=headers)
    school.api.get(LIST, **alice.pair)
    first, second = lines()

    assert datetime.fromisoformat(first["timestamp"]).tzinfo is not None
    assert (first["level"], first["service"]) == ("info", "booking-api")
    assert (first["endpoint"], first["action"]) == (LIST, "list")
    assert first["traceId"] == first["request_id"] == "trace-1"
    assert first["metrics"] == {
        "apiCalls": first["hubspot_calls"],
        "responseTime": first["took_ms"],
        "cacheHit": False,
        "itemsProcessed": 2,
    }
    assert first["hubspot_calls"] > 0
    assert second["metrics"] | {"responseTime": 0} == {
        "apiCalls": 0,
        "responseTime": 0,
        "cacheHit": True,
        "itemsProcessed": 2,
    }


def test_items_are_the_records_that_an_answer_is_about(
    api: Api, portal: Portal, events: Events, webhook_secret: None, lines: Any
) -> None:
    alice = portal.student("alice")
    exams = [portal.exam(in_days=day) for day in (3, 4)]

    api.get("/api/mock-exams/available", mock_type="clinical")
    booked = create(api, alice, exams[0])
    record_id = booked.data["booking_record_id"]
    api.get(f"/api/bookings/{record_id}", **alice.pair)
    api.get(f"/api/bookings/{record_id}", **(alice.pair | {"email": "x@y.org"}))
    tell(api, events.changed("9"), events.changed("8"), events.changed("7"))
    api.get("/api/unknown")

    shown = [(one["action"], one["endpoint"], one["metrics"]["itemsProcessed"]) for one in lines()]
    assert shown == [
        ("available", "/api/mock-exams/available", 2),
        ("create", "/api/bookings/create", 1),
        ("retrieve", "/api/bookings/<booking_id>", 1),
        ("retrieve", "/api/bookings/<booking_id>", 0),
        ("post", "/api/webhooks/booking-sync", 3),
        ("get", "/^api(?:/|$)", 0),
    ]


def test_the_line_of_a_refusal_says_why(school: School, lines: Any) -> None:
    """What is refused before the desk leaves no row in the journal: only its line says why."""
    alice, full = school.portal.student("alice"), school.portal.exam(capacity=0)

    create(school.api, alice, full)
    create(school.api, alice, school.portal.exam(in_days=9), email="x@y.org")
    create(school.api, alice, full, name="")
    school.api.get(LIST, **alice.pair)
    school.api.get("/api/unknown")

    assert [one.get("code") for one in lines()] == [
        "EXAM_FULL",
        "AUTH_FAILED",
        "VALIDATION_ERROR",
        None,
        "NOT_FOUND",
    ]


def test_a_text_that_looks_like_a_name_is_no_booking(api: Api, portal: Portal, lines: Any) -> None:
    alice = portal.student("alice")
    portal.booking(alice, portal.exam(), name='"booking_number":"booking_number":')

    api.get(LIST, **alice.pair)

    assert lines()[0]["metrics"]["itemsProcessed"] == 1
