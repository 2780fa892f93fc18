"""How late the feed shows what we write ourselves, and what that says of the proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hubspot_sync.feed.delays import FORGET_AFTER, LATE_FOR
from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.feed.proof import MIN_EPOCH_S, Coverage
from tests.api import Api
from tests.journal import (
    Follower,
    JournalEvents,
    MemoryJournal,
    Seconds,
    follow,
    position,
    proof,
)

pytestmark = pytest.mark.django_db


def created(told: JournalEvents, number: int) -> dict[str, Any]:
    return told.record("CREATE", "bookings", str(number))


def test_the_delay_is_from_the_answer_to_our_write_until_the_feed_shows_it(
    at_end: Follower, told: JournalEvents
) -> None:
    at_end.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=5))
    at_end.journal.publish(created(told, 7))

    at_end.catch_up()

    (delay_s,) = at_end.delays
    assert 5 <= delay_s < 10
    assert position().delay_s == delay_s
    assert not OwnWrite.objects.exists()


def test_a_write_that_is_not_read_back_ends_the_proof_until_one_is(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    at_end.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=61))

    at_end.catch_up()
    assert not proof().proven
    assert at_end.count(FeedHappening.LATE) == 1
    seconds.move(2 * MIN_EPOCH_S)
    at_end.catch_up()
    assert not proof().proven

    at_end.feed.own_writes.note(["8"])
    at_end.journal.publish(created(told, 7))
    at_end.catch_up()
    assert not proof().proven  # seen, and too late
    at_end.journal.publish(created(told, 8))
    at_end.catch_up()
    at_end.catch_up()
    assert proof().proven


def test_a_write_that_was_shown_before_it_was_taken_down_is_not_late(
    at_end: Follower, told: JournalEvents
) -> None:
    at_end.journal.publish(created(told, 7))
    at_end.catch_up()
    at_end.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=61))

    at_end.catch_up()

    assert proof().proven
    assert not OwnWrite.objects.exists()


def test_whoever_did_not_look_does_not_call_the_journal_late(
    api: Api, journal: MemoryJournal, told: JournalEvents
) -> None:
    journal.publish()
    follower = follow(journal)
    follower.step()
    follower.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(hours=1))
    journal.publish(created(told, 7))

    follower.catch_up()

    assert follower.delays == []
    assert proof().proven


def test_a_write_before_the_feeds_first_start_is_not_waited_for(
    api: Api, journal: MemoryJournal, told: JournalEvents
) -> None:
    journal.publish()
    follower = follow(journal)
    follower.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=90))
    journal.publish(created(told, 7))

    follower.catch_up()

    assert follower.count(FeedHappening.LATE) == 0
    assert proof().proven


def test_a_write_that_was_lost_with_the_offset_is_not_waited_for(
    at_end: Follower, told: JournalEvents
) -> None:
    at_end.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=90))
    at_end.journal.expire()
    at_end.journal.publish(created(told, 7))

    at_end.catch_up()

    assert at_end.count(FeedHappening.LATE) == 0
    assert proof().proven


def owe(follower: Follower, record_id: str, seconds_ago: float) -> None:
    """Have a booking of ours that HubSpot answered to so long ago, and the feed has yet to show."""
    follower.feed.own_writes.note([record_id])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=seconds_ago))


def measured_ago(ago: timedelta) -> None:
    FeedPosition.objects.update(delay_measured_at=timezone.now() - ago)


def test_a_write_that_was_shown_too_late_ends_the_proof_for_a_while(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    before = proof().epoch
    owe(at_end, "7", 61)
    at_end.catch_up()
    at_end.journal.publish(created(told, 7))
    seconds.move(2 * MIN_EPOCH_S)
    at_end.catch_up()
    measured_ago(LATE_FOR - timedelta(seconds=30))
    at_end.catch_up()
    while_late = proof().proven

    measured_ago(LATE_FOR)
    at_end.catch_up()

    assert not while_late
    assert proof().proven
    assert proof().epoch != before


def test_a_write_that_another_process_sees_too_late_ends_the_proof_for_a_while_too(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    owe(at_end, "7", 61)
    at_end.catch_up()
    measured_ago(2 * LATE_FOR)
    OwnWrite.objects.update(answered_at=timezone.now() - 3 * LATE_FOR)
    at_end.journal.publish(created(told, 7))
    seconds.move(2 * MIN_EPOCH_S)
    other = follow(at_end.journal, lease=at_end.lease)

    other.catch_up()
    other.catch_up()

    assert position().owed_since is None
    assert not proof().proven


def test_a_write_that_is_never_shown_ends_the_proof_until_a_later_one_is(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    """What it missed once it may miss again: that it is not awaited any more proves nothing."""
    owe(at_end, "7", 61)
    at_end.catch_up()
    OwnWrite.objects.update(answered_at=timezone.now() - 2 * FORGET_AFTER)
    measured_ago(2 * FORGET_AFTER)
    seconds.move(2 * MIN_EPOCH_S)
    at_end.catch_up()
    at_end.catch_up()
    before = (OwnWrite.objects.exists(), proof().proven)

    at_end.feed.own_writes.note(["8"])
    at_end.journal.publish(created(told, 8))
    at_end.catch_up()
    at_end.catch_up()

    assert before == (False, False)
    assert proof().proven


def test_a_write_that_nothing_subscribes_to_is_not_awaited(
    at_end: Follower, seconds: Seconds
) -> None:
    """Of bookings nothing is proven then, of all else it may be."""
    whole = at_end.coverage[0]
    at_end.coverage.append(Coverage(mark="other", families=whole.families - {"bookings"}))
    seconds.move(60)
    at_end.catch_up()
    owe(at_end, "7", 3_000)

    at_end.catch_up()

    assert at_end.count(FeedHappening.LATE) == 0
    assert proof().proven
    assert "bookings" not in proof().covered


def test_a_write_that_is_owed_is_no_reason_once_nothing_subscribes_to_it(
    at_end: Follower, seconds: Seconds
) -> None:
    owe(at_end, "7", 61)
    at_end.catch_up()
    whole = at_end.coverage[0]
    at_end.coverage.append(Coverage(mark="other", families=whole.families - {"bookings"}))
    seconds.move(2 * MIN_EPOCH_S)

    at_end.catch_up()

    assert proof().proven
