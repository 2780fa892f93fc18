"""One process of the deployment follows the feed, and what was missed is recounted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from booking_api.desk.journal.lease import HeldLease, LeaseKeeper, LeaseLost
from booking_api.desk.journal.models import Lease
from booking_api.ops.feed import (
    FEED_LEASE,
    LEASE_DURATION,
    LOOK_AGAIN_S,
    RENEW_EVERY_S,
    FeedFollower,
)
from booking_api.ops.remedies import RECOUNT_AGAIN_S
from cache_layer import TermPassed
from hubspot_sync.errors import Unavailable
from hubspot_sync.feed.positions import PositionMoved
from tests.journal import Seconds

pytestmark = pytest.mark.django_db(transaction=True)

MISSED_AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


class Feed:
    """A feed whose steps a test decides; `missed_at` is when it last missed something."""

    def __init__(self) -> None:
        self.reader = self
        self.positions = self
        self.steps: list[int] = []
        self.rest_s = 0.0
        self.error: Exception | None = None
        self.missed_at: datetime | None = None

    def step(self, lease: HeldLease) -> float:
        self.steps.append(lease.epoch)
        if self.error is not None:
            raise self.error
        return self.rest_s

    def recount_due_since(self) -> datetime | None:
        return self.missed_at

    def note_recounted(self, since: datetime) -> None:
        assert since == self.missed_at
        self.missed_at = None

    def erasures_missed_since(self) -> datetime | None:
        return None

    def note_erasures_found(self, since: datetime) -> None:
        raise AssertionError("none was due")


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def follower_of(
    feed: Any, seconds: Seconds, recount: Callable[[], object] = lambda: None
) -> FeedFollower:
    keeper = LeaseKeeper(FEED_LEASE, LEASE_DURATION)
    return FeedFollower(feed, keeper, recount, lambda: None, clock=seconds)


def test_of_two_followers_one_takes_steps(feed: Feed, seconds: Seconds) -> None:
    first, second = follower_of(feed, seconds), follower_of(feed, seconds)

    assert first.follow() == 0
    assert second.follow() == LOOK_AGAIN_S
    assert feed.steps == [1]
    first.release_lease()
    assert second.follow() == 0
    assert feed.steps == [1, 2]


@pytest.mark.parametrize("error", [LeaseLost(), PositionMoved()])
def test_whoever_is_overtaken_stops_and_looks_again(
    feed: Feed, seconds: Seconds, error: Exception
) -> None:
    follower = follower_of(feed, seconds)
    feed.error = error

    assert follower.follow() == LOOK_AGAIN_S

    Lease.objects.update(holder="another", epoch=7)
    feed.error = None
    assert follower.follow() == LOOK_AGAIN_S
    assert feed.steps == [1]


def test_whoever_holds_the_lease_goes_on_above_what_the_cache_remembers(
    feed: Feed, seconds: Seconds
) -> None:
    """As with a database that was restored from a backup."""
    follower = follower_of(feed, seconds)
    feed.error = TermPassed(500)
    assert follower.follow() == 0
    feed.error = None

    assert follower.follow() == 0
    assert feed.steps == [1, 501]
    assert Lease.objects.get().epoch == 501


def test_whoever_was_overtaken_raises_no_term(feed: Feed, seconds: Seconds) -> None:
    follower = follower_of(feed, seconds)
    follower.follow()
    Lease.objects.update(holder="another", epoch=2)
    feed.error = TermPassed(2)

    assert follower.follow() == LOOK_AGAIN_S
    assert Lease.objects.get().epoch == 2


def test_a_lease_that_went_is_noticed_when_it_is_renewed(feed: Feed, seconds: Seconds) -> None:
    follower = follower_of(feed, seconds)
    follower.follow()
    Lease.objects.update(holder="another", epoch=7)
    seconds.move(RENEW_EVERY_S)

    assert follower.follow() == LOOK_AGAIN_S
    assert feed.steps == [1]


def test_the_lease_is_kept_through_a_long_rest(feed: Feed, seconds: Seconds) -> None:
    follower = follower_of(feed, seconds)
    feed.rest_s = 300.0
    rested_s = 0.0
    while rested_s < 300.0:
        rest_s = follower.follow()
        assert 0 < rest_s <= RENEW_EVERY_S
        Lease.objects.update(holder=Lease.objects.get().holder)
        seconds.move(rest_s)
        rested_s += rest_s

    assert feed.steps == [1]
    follower.follow()
    assert feed.steps == [1, 1]


def test_what_was_missed_is_recounted_until_that_succeeds(feed: Feed, seconds: Seconds) -> None:
    outcomes = [Unavailable("HubSpot is away"), None]
    done = threading.Semaphore(0)

    def recount() -> None:
        outcome = outcomes.pop(0)
        done.release()
        if outcome is not None:
            raise outcome

    follower = follower_of(feed, seconds, recount)
    feed.missed_at = MISSED_AT
    follower.follow()
    assert done.acquire(timeout=10)
    follower.follow()
    assert len(outcomes) == 1  # not at once again
    while feed.missed_at is not None:
        seconds.move(RECOUNT_AGAIN_S)
        follower.follow()

    assert outcomes == []
