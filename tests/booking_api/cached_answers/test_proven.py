"""Cached answers while the change feed proves them fresh: asked of HubSpot once, for hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from cache_layer import Cache, CacheConfig, Cause
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.tags import contact_bookings_tag, exam_tag
from tests.api import Api, connected
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
EXAMS, BOOKINGS = "2-50158913", "2-50158943"
NOON = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)
HOUR_S, LAG_S, ROUND_S = 3_600, 60, 20


@dataclass(slots=True)
class Followed:
    """An API whose cache a feed confirms, which is right as long as nobody edits."""

    api: Api
    portal: Portal
    clock: SteeredClock
    epoch: str = ""
    passed_s: float = field(default=0.0)

    @property
    def cache(self) -> Cache:
        return composition.services().cached.cache

    def begin(self, *uncovered: str) -> None:
        covered = {family.name for family in self.cache.catalogue} - set(uncovered)
        self.epoch = self.cache.freshness.begin_epoch(covered, term=1)
        self.follow(LAG_S + 1)

    def follow(self, seconds: float) -> None:
        """Let time pass, in which the feed has nothing to tell."""
        until_s = self.passed_s + seconds
        while self.passed_s < until_s:
            self.let_pass(min(ROUND_S, until_s - self.passed_s))
            freshness = self.cache.freshness
            assert freshness.confirm(self.epoch, freshness.read_clock(), term=1)

    def let_pass(self, seconds: float) -> None:
        self.passed_s += seconds
        self.clock.go_to(self.passed_s)

    def calls(self) -> int:
        return len(self.portal.sandbox.calls())


@pytest.fixture
def followed(settings: Settings, kind_sandbox: SandboxHandle) -> Iterator[Followed]:
    portal = Portal(kind_sandbox, load_profile("default"), today=NOON.date())
    clock = SteeredClock(NOON)
    composition.use_clocks(clock.clocks())
    try:
        with connected(settings, kind_sandbox, cache=CacheConfig()) as api:
            yield Followed(api, portal, clock)
    finally:
        composition.use_clocks(composition.REAL_TIME)


def test_answers_are_asked_of_hubspot_once_for_hours(followed: Followed) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(in_days=3))
    followed.begin()

    def ask() -> list[object]:
        rows = api.get(LIST, **alice.pair).data["bookings"]
        exams = api.get(AVAILABLE, mock_type="clinical").data
        return [[row["id"] for row in rows], [row["total_bookings"] for row in exams]]

    first, asked = ask(), followed.calls()
    assert first == [[booking.id], [0]]
    for _ in range(5):
        followed.follow(HOUR_S)
        assert ask() == first
    assert followed.calls() == asked

    followed.let_pass(31)
    ask()
    assert followed.calls() > asked


def test_what_the_feed_tells_of_is_read_anew_and_then_kept_again(followed: Followed) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    exam = portal.exam(in_days=3, capacity=10)
    portal.booking(alice, exam)
    followed.begin()
    api.get(LIST, **alice.pair)
    followed.follow(HOUR_S)
    portal.sandbox.edit(EXAMS, exam.id, capacity="11")
    followed.cache.invalidator.invalidate_tags([exam_tag(exam.id)], cause=Cause.FEED)

    (row,) = api.get(LIST, **alice.pair).data["bookings"]
    assert row["mock_exam"]["capacity"] == 11
    asked = followed.calls()
    followed.follow(HOUR_S)
    api.get(LIST, **alice.pair)
    assert followed.calls() == asked


def test_an_edit_costs_a_page_that_was_kept_for_long_what_was_edited_and_no_more(
    followed: Followed,
) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    exam = portal.exam(in_days=3, capacity=10)
    portal.booking(alice, exam)
    followed.begin()
    api.get(LIST, **alice.pair)
    followed.follow(HOUR_S)
    portal.sandbox.edit(EXAMS, exam.id, capacity="11")
    followed.cache.invalidator.invalidate_tags([exam_tag(exam.id)], cause=Cause.FEED)
    asked = followed.calls()

    for _ in range(3):
        (row,) = api.get(LIST, **alice.pair).data["bookings"]
        assert (row["mock_exam"]["capacity"], followed.calls() - asked) == (11, 1)
        followed.follow(HOUR_S)


def test_a_link_that_may_not_be_shown_yet_is_read_once_more_when_it_can_be_proven(
    followed: Followed,
) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    portal.booking(alice, portal.exam(in_days=3))
    followed.begin()
    api.get(LIST, **alice.pair)
    followed.follow(HOUR_S)
    followed.cache.invalidator.invalidate_tags([contact_bookings_tag(alice.id)], cause=Cause.FEED)
    asked = followed.calls()

    for _ in range(3):
        api.get(LIST, **alice.pair)
        assert followed.calls() - asked == 1
        followed.follow(LAG_S / 4)
    for _ in range(3):
        followed.follow(LAG_S)
        api.get(LIST, **alice.pair)
        assert followed.calls() - asked == 2


def test_a_page_that_is_proven_changes_when_its_exam_ends(followed: Followed) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    portal.booking(alice, portal.exam(in_days=0, start=time(9), end=time(13, 30)))
    followed.begin()
    before = api.get(LIST, **alice.pair).data["bookings"][0]["status"]
    followed.follow(HOUR_S)
    still = api.get(LIST, **alice.pair).data["bookings"][0]["status"]
    followed.follow(HOUR_S)

    assert (before, still) == ("scheduled", "scheduled")
    assert api.get(LIST, **alice.pair).data["bookings"][0]["status"] == "completed"


@pytest.mark.parametrize("uncovered", ["bookings", "contact-bookings", "exams"])
def test_a_page_of_which_a_part_is_not_covered_is_kept_for_its_time_and_no_longer(
    uncovered: str, followed: Followed
) -> None:
    portal, api = followed.portal, followed.api
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(in_days=3))
    followed.begin(uncovered)
    api.get(LIST, **alice.pair)
    followed.follow(HOUR_S)
    api.get(LIST, **alice.pair)
    asked = followed.calls()

    followed.follow(50)
    api.get(LIST, **alice.pair)
    assert followed.calls() == asked

    portal.sandbox.edit(BOOKINGS, booking.id, name="Changed")
    portal.sandbox.edit(EXAMS, portal.exam(in_days=4).id, capacity="3")
    followed.follow(301)
    asked = followed.calls()
    api.get(LIST, **alice.pair)
    assert followed.calls() > asked
