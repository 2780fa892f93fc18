"""HubSpot's daily limit is reached: whoever asks is told when the portal's day ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, Reply, connected
from tests.builders import Booking, Exam, Portal, Student
from tests.desk import cancel, create, update
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

# Seven in the morning in Toronto, in winter.
MORNING = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)
UNTIL_MIDNIGHT_S = 17 * 3_600


@dataclass(frozen=True, slots=True)
class Day:
    """Somebody with a booking, who wants more."""

    portal: Portal
    alice: Student
    exam: Exam
    booking: Booking


@pytest.fixture
def day(kind_sandbox: SandboxHandle) -> Day:
    portal = Portal(kind_sandbox, load_profile("prepdoctors"), today=MORNING.date())
    alice, exam = portal.student("alice"), portal.exam(in_days=3)
    return Day(portal, alice, exam, portal.booking(alice, portal.exam(in_days=9)))


ASKED: dict[str, Callable[[Api, Day], Reply]] = {
    "list": lambda api, day: api.get("/api/bookings/list", **day.alice.pair),
    "available": lambda api, day: api.get(
        "/api/mock-exams/available", mock_type=day.exam.mock_type
    ),
    "create": lambda api, day: create(api, day.alice, day.exam),
    "cancel": lambda api, day: cancel(api, day.alice, day.booking.id),
    "update": lambda api, day: update(api, day.alice, day.booking.id, attending_location="calgary"),
}


def ask_at_the_limit(
    ask: Callable[[Api, Day], Reply], settings: Settings, day: Day, *, knows_alice: bool
) -> Reply:
    composition.use_clocks(SteeredClock(MORNING).clocks())
    try:
        with connected(settings, day.portal.sandbox, portal="prepdoctors") as api:
            if knows_alice:
                assert api.get("/api/bookings/list", **day.alice.pair).status == 200
            body = {"policyName": "DAILY", "errorType": "RATE_LIMIT"}
            day.portal.sandbox.fault("status", status=429, body=body)
            return ask(api, day)
    finally:
        composition.use_clocks(composition.REAL_TIME)


def assert_told_the_truth(reply: Reply) -> None:
    assert (reply.status, reply.code) == (503, "RATE_LIMITED")
    assert reply.body["retryAfter"] == int(reply.headers["Retry-After"]) == UNTIL_MIDNIGHT_S


@pytest.mark.parametrize("ask", [ASKED["list"], ASKED["available"]], ids=["list", "available"])
def test_readers_are_told_when_the_portals_day_ends(
    ask: Callable[[Api, Day], Reply], settings: Settings, day: Day
) -> None:
    assert_told_the_truth(ask_at_the_limit(ask, settings, day, knows_alice=False))


@pytest.mark.parametrize("name", ["create", "cancel", "update"])
def test_so_are_those_whom_the_desk_refuses(name: str, settings: Settings, day: Day) -> None:
    """Who they are is cached: it is the desk that asks HubSpot."""
    assert_told_the_truth(ask_at_the_limit(ASKED[name], settings, day, knows_alice=True))
