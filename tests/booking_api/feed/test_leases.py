"""Only who holds the feed's lease stores, moves the offset and confirms."""

from __future__ import annotations

import pytest

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper, LeaseLost
from booking_api.ops.feed import FeedFollower
from cache_layer import TermPassed
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.feed.positions import PositionMoved
from hubspot_sync.feed.proof import MIN_EPOCH_S
from hubspot_sync.inbox.models import WebhookEvent
from tests.journal import LEASE_FOR, Follower, JournalEvents, Seconds, follow, position, proof

pytestmark = pytest.mark.django_db


def test_whoever_lost_the_lease_stores_nothing_and_moves_nothing(
    at_end: Follower, told: JournalEvents
) -> None:
    before = position().offset
    at_end.journal.publish(told.changed("bookings", "7", name="x"))

    def overtake() -> None:
        at_end.journal.before_answer = lambda: None
        at_end.lease.expire()
        assert LeaseKeeper("feed", LEASE_FOR).acquire() is not None

    at_end.journal.before_answer = overtake
    with pytest.raises(LeaseLost):
        at_end.step()

    assert position().offset == before
    assert not WebhookEvent.objects.exists()


def test_an_overtaken_follower_confirms_nothing(at_end: Follower) -> None:
    at_end.lease.expire()
    other = follow(at_end.journal)
    other.catch_up()
    confirmed = at_end.count(FeedHappening.CONFIRMED)

    with pytest.raises(TermPassed):
        at_end.step()

    assert at_end.count(FeedHappening.CONFIRMED) == confirmed
    assert proof().term == other.lease.epoch


@pytest.mark.parametrize("is_same_epoch", [True, False])
def test_a_database_of_a_backup_is_followed_and_proven_again(
    at_end: Follower, told: JournalEvents, seconds: Seconds, is_same_epoch: bool
) -> None:
    """The cache has seen later holders than the lease's row knows of."""
    freshness = composition.services().cached.cache.freshness
    at_end.step()
    if is_same_epoch:
        freshness.confirm(position().epoch, freshness.read_clock(), term=500)
    else:
        freshness.begin_epoch([], term=500)
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    keeper = LeaseKeeper("feed", LEASE_FOR)
    at_end.lease.give_back()
    follower = FeedFollower(at_end.feed, keeper, *[lambda: None] * 2, clock=seconds)
    for _ in range(5):
        seconds.move(max(follower.follow(), MIN_EPOCH_S))

    assert WebhookEvent.objects.count() == 1
    assert proof().proven
    assert proof().term > 500


def test_an_offset_that_somebody_moved_is_not_moved_on(
    at_end: Follower, told: JournalEvents
) -> None:
    """Both hold a lease of the same row, as no two can."""
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.before_answer = lambda: FeedPosition.objects.update(offset="elsewhere")

    with pytest.raises(PositionMoved):
        at_end.step()

    assert not WebhookEvent.objects.exists()


def test_another_apps_position_is_none_of_ours(at_end: Follower) -> None:
    FeedPosition.objects.update(source="another app's")

    at_end.catch_up()

    assert FeedPosition.objects.count() == 1
    assert position().source != "another app's"
    assert position().erasures_missed_at is not None
