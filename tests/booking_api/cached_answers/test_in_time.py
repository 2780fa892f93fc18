"""Cached answers as time passes: pages that change by themselves, nothing older than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.composition import Clocks
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
EXAMS, BOOKINGS, CONTACTS = "2-50158913", "2-50158943", "0-1"
# Noon in London, in winter.
NOON = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Steered:
    """An API whose clock and cache go by `clock`."""

    api: Api
    portal: Portal
    clock: SteeredClock


@contextmanager
def going_by(clocks: Clocks) -> Iterator[None]:
    composition.use_clocks(clocks)
    try:
        yield
    finally:
        composition.use_clocks(composition.REAL_TIME)


@pytest.fixture
def steered(settings: Settings, kind_sandbox: SandboxHandle) -> Iterator[Steered]:
    portal = Portal(kind_sandbox, load_profile("default"), today=NOON.date())
    clock = SteeredClock(NOON)
    connecting = connected(settings, kind_sandbox, cache=CacheConfig())
    with going_by(clock.clocks()), connecting as api:
        yield Steered(api, portal, clock)


def test_a_page_changes_when_an_exam_ends_though_its_time_is_not_up(steered: Steered) -> None:
    portal, api = steered.portal, steered.api
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(in_days=0, start=time(9), end=time(12, 1)))
    upcoming = api.get(LIST, filter="upcoming", **alice.pair).data
    assert [row["id"] for row in upcoming["bookings"]] == [booking.id]
    assert api.get(LIST, filter="past", **alice.pair).data["bookings"] == []

    steered.clock.go_to(61)

    assert api.get(LIST, filter="upcoming", **alice.pair).data["bookings"] == []
    past = api.get(LIST, filter="past", **alice.pair).data["bookings"]
    assert [(row["id"], row["status"]) for row in past] == [(booking.id, "completed")]


def test_a_page_whose_exam_ends_while_it_is_read_is_not_kept(
    settings: Settings, kind_sandbox: SandboxHandle
) -> None:
    """The last thing a page needs is its exams: as they are asked for, the exam ends."""
    portal = Portal(kind_sandbox, load_profile("default"), today=NOON.date())
    alice = portal.student("alice")
    portal.booking(alice, portal.exam(in_days=0, start=time(9), end=time(12, 1)))

    def now() -> datetime:
        exams_asked_for = any(
            f"/{EXAMS}/batch/read" in call["path"] for call in kind_sandbox.calls()
        )
        return NOON + timedelta(minutes=2 if exams_asked_for else 0)

    with going_by(Clocks(now=now)), connected(settings, kind_sandbox) as api:
        statuses = [api.get(LIST, **alice.pair).data["bookings"][0]["status"] for _ in range(2)]

    assert statuses == ["scheduled", "completed"]


def test_an_exam_leaves_the_available_ones_when_it_ends(steered: Steered) -> None:
    exam = steered.portal.exam(in_days=0, start=time(9), end=time(12, 1))
    for realtime in ("false", "true"):
        rows = steered.api.get(AVAILABLE, mock_type="clinical", realtime=realtime).data
        assert [row["mock_exam_id"] for row in rows] == [exam.id]

    steered.clock.go_to(61)

    for realtime in ("false", "true"):
        rows = steered.api.get(AVAILABLE, mock_type="clinical", realtime=realtime).data
        assert rows == []


def test_what_is_given_again_changes_when_an_exam_ends(steered: Steered) -> None:
    """Whatever it was made of is still held."""
    portal, api = steered.portal, steered.api
    alice = portal.student("alice")
    exam = portal.exam(in_days=0, start=time(9), end=time(12, 1), total_bookings=1)
    booking = portal.booking(alice, exam)
    steered.clock.go_to(55)
    for _ in range(3):
        for realtime in ("false", "true"):
            assert len(api.get(AVAILABLE, mock_type="clinical", realtime=realtime).data) == 1
        assert (
            api.get(f"/api/bookings/{booking.id}", **alice.pair).data["booking"]["status"]
            == "scheduled"
        )

    steered.clock.go_to(60)

    for realtime in ("false", "true"):
        reply = api.get(AVAILABLE, mock_type="clinical", realtime=realtime)
        assert (reply.data, "hit" in reply.headers["Server-Timing"]) == ([], True)
    reply = api.get(f"/api/bookings/{booking.id}", **alice.pair)
    assert reply.data["booking"]["status"] == "completed"
    assert "hit" in reply.headers["Server-Timing"]


@pytest.mark.parametrize("asked_before_s", [0, 30, 100, 150, 179, 181, 240, 299])
def test_an_exam_in_a_page_is_never_older_than_its_own_time(
    asked_before_s: float, steered: Steered
) -> None:
    """The page lives 120 s, the exam in it 300 s: a page built of an exam that has been held for
    some time may be served until the exam is 300 s old, not 120 s longer."""
    portal, api, clock = steered.portal, steered.api, steered.clock
    alice = portal.student("alice")
    exam = portal.exam(in_days=3, capacity=10)
    portal.booking(alice, exam)
    api.get(AVAILABLE, mock_type="clinical")
    portal.sandbox.edit(EXAMS, exam.id, capacity="11")

    clock.go_to(asked_before_s)
    api.get(LIST, **alice.pair)
    clock.go_to(300.5)

    (row,) = api.get(LIST, **alice.pair).data["bookings"]
    assert row["mock_exam"]["capacity"] == 11


@pytest.mark.parametrize("asked_before_s", [0, 20, 59, 61, 119])
def test_a_booking_in_a_page_is_never_older_than_the_page_may_be(
    asked_before_s: float, steered: Steered
) -> None:
    portal, api, clock = steered.portal, steered.api, steered.clock
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(in_days=3))
    api.get(f"/api/bookings/{booking.id}", **alice.pair)
    portal.sandbox.edit(BOOKINGS, booking.id, name="Changed")

    clock.go_to(asked_before_s)
    api.get(LIST, **alice.pair)
    clock.go_to(120.5)

    (row,) = api.get(LIST, **alice.pair).data["bookings"]
    assert row["name"] == "Changed"


@pytest.mark.parametrize("asked_before_s", [0, 200, 299, 301, 1500])
def test_credits_are_never_older_than_their_own_time(
    asked_before_s: float, steered: Steered
) -> None:
    portal, api, clock = steered.portal, steered.api, steered.clock
    alice, bob = portal.student("alice"), portal.student("bob")
    booking = portal.booking(alice, portal.exam(in_days=3))
    api.get(f"/api/bookings/{booking.id}", **alice.pair)
    portal.sandbox.edit(CONTACTS, alice.id, credits_clinical="1")

    clock.go_to(asked_before_s)
    api.get(LIST, **alice.pair)
    clock.go_to(1800.5)

    assert api.get(LIST, **alice.pair).data["credits"]["credits_clinical"] == 1
    assert api.get(LIST, **bob.pair).status == 200


def test_a_page_whose_parts_are_old_lives_at_least_half_its_time(steered: Steered) -> None:
    """Else every page built of a popular exam would soon have to be built again."""
    portal, api, clock = steered.portal, steered.api, steered.clock
    alice = portal.student("alice")
    portal.booking(alice, portal.exam(in_days=3))
    api.get(AVAILABLE, mock_type="clinical")
    clock.go_to(295)
    api.get(LIST, **alice.pair)
    portal.sandbox.clear_calls()

    clock.go_to(295 + 59)
    api.get(LIST, **alice.pair)

    assert portal.sandbox.calls_count() == 0
