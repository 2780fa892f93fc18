"""What was booked here is shown from the next read on, however late HubSpot shows its links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.composition import REAL_TIME
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Exam, Portal, Student
from tests.desk import create
from tests.sandbox import SandboxHandle

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
LAG_S = 599

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True, slots=True)
class Late:
    """An API whose HubSpot shows links late, a student, an exam and a clock for both."""

    api: Api
    portal: Portal
    clock: SteeredClock
    alice: Student
    exam: Exam

    def go_to(self, passed_s: float) -> None:
        """Move HubSpot's clock and ours to so many seconds after the start."""
        self.portal.sandbox.advance(passed_s - self.clock.monotonic())
        self.clock.go_to(passed_s)

    def book(self) -> str:
        """Book and return the record's id."""
        reply = create(self.api, self.alice, self.exam)
        assert reply.status == 201, reply.body
        return str(reply.data["booking_record_id"])

    def shown(self, **query: str) -> dict[str, str | None]:
        """The ids of the bookings in the student's list, and of the exam shown with each."""
        rows = self.api.get(LIST, **self.alice.pair, **query).data["bookings"]
        return {
            row["id"]: None if (exam := row["mock_exam"]) is None else exam["id"] for row in rows
        }

    def taken(self, *, realtime: bool = True) -> int:
        """The seats of the exam that are taken."""
        asked = {"mock_type": self.exam.mock_type, "realtime": str(realtime).lower()}
        (row,) = self.api.get(AVAILABLE, **asked).data
        return int(row["total_bookings"])

    def detail(self, name: str) -> tuple[str, str | None]:
        """The ids of a booking and of its exam in the booking's own answer."""
        data = self.api.get(f"/api/bookings/{name}", **self.alice.pair).data
        return data["booking"]["id"], (data["mock_exam"] or {}).get("id")


@pytest.fixture(params=["default", "prepdoctors"])
def late(
    request: pytest.FixtureRequest, settings: Settings, kind_sandbox: SandboxHandle
) -> Iterator[Late]:
    portal = Portal(kind_sandbox, load_profile(request.param))
    clock = SteeredClock(datetime.now(UTC))
    composition.use_clocks(clock.clocks())
    with connected(settings, kind_sandbox, portal=request.param, cache=CacheConfig()) as api:
        kind_sandbox.configure(association_lag_s=LAG_S)
        yield Late(api, portal, clock, portal.student("alice"), portal.exam())
    composition.use_clocks(REAL_TIME)


def test_a_booking_is_in_every_answer_from_then_on(late: Late) -> None:
    """Whether it was asked before or not, by this process or one that comes later."""
    assert (late.shown(), late.taken()) == ({}, 0)
    booked = late.book()
    name = late.portal.sandbox.record(late.portal.profile.object_types.bookings, booked)
    readable = name["properties"][late.portal.profile.booking_properties["booking_id"]]

    for passed_s in (0, 125, LAG_S - 1, LAG_S + 100):
        late.go_to(passed_s)
        assert late.shown() == {booked: late.exam.id}, passed_s
        assert late.shown(filter="upcoming") == {booked: late.exam.id}, passed_s
        assert (late.taken(), late.taken(realtime=False)) == (1, 1), passed_s
        assert late.detail(booked) == late.detail(readable) == (booked, late.exam.id), passed_s
        composition.close()
