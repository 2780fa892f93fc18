"""Links that HubSpot told of just now, and does not show yet: no list without them is kept long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.composition import REAL_TIME
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Booking, Exam, Portal, Student
from tests.sandbox import SandboxHandle
from tests.webhooks import Events, Raw, tell

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
LAG_S = 60

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.larger_portal,
    pytest.mark.usefixtures("webhook_secret"),
]


@dataclass(frozen=True, slots=True)
class Late:
    """An API whose HubSpot shows links late, a student with a booking, and a clock for both."""

    api: Api
    portal: Portal
    clock: SteeredClock
    alice: Student
    exam: Exam
    booking: Booking

    def go_to(self, passed_s: float) -> None:
        """Move HubSpot's clock and ours to so many seconds after the start."""
        self.portal.sandbox.advance(passed_s - self.clock.monotonic())
        self.clock.go_to(passed_s)

    def shown(self) -> set[str]:
        """The ids of the bookings in the student's list."""
        return {row["id"] for row in self.api.get(LIST, **self.alice.pair).data["bookings"]}

    def taken(self) -> int:
        """The seats of the exam that are taken, by its bookings."""
        asked = {"mock_type": self.exam.mock_type, "realtime": "true"}
        (row,) = self.api.get(AVAILABLE, **asked).data
        return int(row["total_bookings"])

    def book_by_hand(self) -> str:
        """A person makes a booking and links it to both; HubSpot tells. Returns its id."""
        types, names = self.portal.profile.object_types, self.portal.profile.booking_properties
        state = self.portal.sandbox.record(types.bookings, self.booking.id)["properties"]
        made = {name: state[name] for name in (names["name"], names["is_active"])}
        ends = [(types.contacts, self.alice.id), (types.mock_exams, self.exam.id)]
        made_id = self.portal.sandbox.create(types.bookings, made, ends)
        tell(self.api, *links_of(self, made_id))
        return made_id


def links_of(late: Late, booking_id: str, **fields: bool) -> list[Raw]:
    """What HubSpot tells of a booking's two links."""
    events, booking = Events(late.portal.profile, count(int(booking_id))), ("bookings", booking_id)
    ends = [("contacts", late.alice.id), ("mock_exams", late.exam.id)]
    return [events.link(end, booking, **fields) for end in ends]


@pytest.fixture(params=["default", "prepdoctors"])
def late(
    request: pytest.FixtureRequest, settings: Settings, kind_sandbox: SandboxHandle
) -> Iterator[Late]:
    portal = Portal(kind_sandbox, load_profile(request.param))
    clock = SteeredClock(datetime.now(UTC))
    composition.use_clocks(clock.clocks())
    connecting = connected(settings, kind_sandbox, portal=request.param, cache=CacheConfig())
    with connecting as api:
        alice, exam = portal.student("alice"), portal.exam()
        booking = portal.booking(alice, exam)
        kind_sandbox.configure(association_lag_s=LAG_S - 1)
        yield Late(api, portal, clock, alice, exam, booking)
    composition.use_clocks(REAL_TIME)


@pytest.mark.parametrize("again_s", [0, 40])
def test_a_link_is_seen_when_the_lag_is_over(again_s: int, late: Late) -> None:
    """Whenever the list without it was loaded; by itself it would be kept for two minutes."""
    assert (late.shown(), late.taken()) == ({late.booking.id}, 1)

    made_id = late.book_by_hand()
    late.go_to(again_s)

    assert (late.shown(), late.taken()) == ({late.booking.id}, 1)
    late.go_to(LAG_S + 1)
    assert (late.shown(), late.taken()) == ({late.booking.id, made_id}, 2)


def test_a_link_that_was_removed_is_gone_when_the_lag_is_over(late: Late) -> None:
    types, sandbox = late.portal.profile.object_types, late.portal.sandbox
    late.go_to(1)
    for end in ((types.contacts, late.alice.id), (types.mock_exams, late.exam.id)):
        sandbox.dissociate(*end, types.bookings, late.booking.id)
    tell(late.api, *links_of(late, late.booking.id, associationRemoved=True))
    before = late.shown(), late.taken()

    late.go_to(LAG_S + 2)

    assert before == ({late.booking.id}, 1)
    assert (late.shown(), late.taken()) == (set(), 0)


def test_lists_that_nothing_was_told_of_are_kept_as_long_as_ever(late: Late) -> None:
    charlie = late.portal.student("charlie")
    late.book_by_hand()
    late.api.get(LIST, **charlie.pair)
    late.go_to(LAG_S + 1)
    late.portal.sandbox.clear_calls()

    late.api.get(LIST, **charlie.pair)

    assert late.portal.sandbox.calls_count() == 0
