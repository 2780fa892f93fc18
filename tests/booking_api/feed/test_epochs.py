"""When an epoch of proven freshness begins and ends, and how late the feed is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from booking_api import composition
from hubspot_sync.errors import (
    Unavailable,
)
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.feed.proof import MIN_EPOCH_S, Coverage
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.journal import (
    CONFIG,
    Follower,
    JournalEvents,
    MemoryJournal,
    Seconds,
    follow,
    position,
    proof,
)

pytestmark = pytest.mark.django_db


# Epochs


def test_other_subscriptions_begin_another_epoch(at_end: Follower, seconds: Seconds) -> None:
    before = proof().epoch
    at_end.coverage.append(Coverage(mark="second", families=frozenset()))
    seconds.move(60)

    at_end.catch_up()

    assert proof().epoch not in {"", before}
    assert proof().covered == frozenset()
    assert position().epoch_reason == "subscriptions changed"


def test_subscriptions_that_come_and_go_empty_no_cache_each_time(
    at_end: Follower, seconds: Seconds
) -> None:
    """And what was missed while they were others is not proven once they are back."""
    epoch, first = proof().epoch, at_end.coverage[0]
    for number in range(60):
        at_end.coverage.append(Coverage(mark=str(number % 2), families=frozenset()))
        seconds.move(10)
        at_end.catch_up()
    at_end.coverage.append(first)
    seconds.move(10)
    at_end.catch_up()

    assert at_end.count(FeedHappening.EPOCH) < 6
    assert not proof().proven
    seconds.move(600)
    at_end.catch_up()
    assert proof().proven
    assert proof().epoch != epoch


def test_nothing_is_confirmed_while_the_subscriptions_are_not_known(
    at_end: Follower, seconds: Seconds
) -> None:
    at_end.coverage.append(Unavailable(""))
    seconds.move(11)
    at_end.catch_up()
    confirmed = at_end.count(FeedHappening.CONFIRMED)

    seconds.move(31)
    at_end.catch_up()

    assert at_end.count(FeedHappening.CONFIRMED) == confirmed


def test_a_proof_that_somebody_ended_begins_anew_not_at_once(
    at_end: Follower, seconds: Seconds
) -> None:
    """As a validation does that finds drift."""
    before = proof().epoch
    composition.services().cached.cache.freshness.end_proof()

    at_end.catch_up()
    assert proof().epoch == ""

    seconds.move(MIN_EPOCH_S)
    at_end.catch_up()
    assert proof().epoch not in {"", before}


@pytest.mark.parametrize("jump_s", [-3600, -6, 6, 3600])
def test_a_clock_that_jumps_ends_the_proof(
    at_end: Follower, seconds: Seconds, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    """Else what was invalidated just before would be kept for hours, as if it had settled."""
    epoch = proof().epoch
    freshness = type(composition.services().cached.cache.freshness)
    clock_ms = 1_000_000

    monkeypatch.setattr(freshness, "is_shared", True)
    monkeypatch.setattr(freshness, "read_clock", lambda _: clock_ms)
    at_end.step()
    seconds.move(9)
    clock_ms += 9_900
    at_end.step()
    assert proof().epoch == epoch

    seconds.move(9)
    clock_ms += 9_000 + 1000 * jump_s
    at_end.step()
    assert proof().epoch == ""

    seconds.move(MIN_EPOCH_S)
    clock_ms += 1000 * int(MIN_EPOCH_S)
    at_end.step()
    assert proof().epoch not in {"", epoch}


def test_what_ends_the_proof_again_and_again_does_not_keep_the_cache_cold(
    at_end: Follower, seconds: Seconds
) -> None:
    begun = at_end.count(FeedHappening.EPOCH)
    for _ in range(240):
        at_end.journal.publish(unreadable=1)
        at_end.catch_up()
        seconds.move(30)

    # In two hours; once a minute it would be 120 times.
    assert 0 < at_end.count(FeedHappening.EPOCH) - begun <= 8


def test_another_follower_goes_on_in_the_same_epoch(at_end: Follower) -> None:
    before = proof().epoch
    at_end.lease.give_back()

    follow(at_end.journal).catch_up()

    assert proof().epoch == before
    assert proof().proven


def test_a_restored_record_is_confirmed_when_its_links_were_asked_for(
    at_end: Follower, told: JournalEvents, portal: Portal
) -> None:
    booking = portal.booking(portal.student("alice"), portal.exam())
    confirmed = at_end.count(FeedHappening.CONFIRMED)
    at_end.journal.publish(told.record("RESTORE", "bookings", booking.id))

    at_end.catch_up()
    assert at_end.count(FeedHappening.CONFIRMED) == confirmed

    composition.services().webhooks.applier.apply_waiting()
    at_end.catch_up()
    assert at_end.count(FeedHappening.CONFIRMED) > confirmed


def test_an_event_not_applied_for_a_minute_begins_another_epoch(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    before = proof().epoch
    at_end.journal.publish(told.record("RESTORE", "bookings", "7"))
    at_end.catch_up()
    seconds.move(60)
    at_end.catch_up()
    assert proof().epoch == before
    seconds.move(1)

    at_end.catch_up()

    assert proof().epoch not in {"", before}
    assert position().epoch_reason == "event not applied"
    assert proof().proven


def test_an_event_waits_though_the_database_seems_to_have_gone_back(
    at_end: Follower, told: JournalEvents
) -> None:
    """Whoever asks it for its time knows it but by and by."""
    at_end.journal.publish(told.record("RESTORE", "bookings", "7"))
    at_end.catch_up()
    began_at = position().epoch_began_at
    assert began_at is not None
    WebhookEvent.objects.update(received_at=began_at - timedelta(seconds=1))
    confirmed = at_end.count(FeedHappening.CONFIRMED)

    at_end.catch_up()

    assert at_end.count(FeedHappening.CONFIRMED) == confirmed


def test_old_events_that_are_applied_again_end_no_proof(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    before = proof().epoch
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.catch_up()
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(seconds=80))
    FeedPosition.objects.update(epoch_began_at=timezone.now() - timedelta(seconds=90))
    seconds.move(90)
    list(at_end.feed.replay.run("", None))
    confirmed = at_end.count(FeedHappening.CONFIRMED)

    at_end.catch_up()
    assert at_end.count(FeedHappening.CONFIRMED) == confirmed
    composition.services().webhooks.applier.apply_waiting()
    at_end.catch_up()

    assert at_end.count(FeedHappening.CONFIRMED) > confirmed
    assert proof().epoch == before


def test_without_proof_the_feed_still_tells_and_drops_nothing_at_its_start(
    api: Api, told: JournalEvents
) -> None:
    follower = follow(MemoryJournal(), is_proving=False)
    follower.catch_up()
    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.catch_up()

    assert WebhookEvent.objects.count() == 1
    assert follower.count(FeedHappening.EPOCH) == 0
    assert not proof().proven


def test_nothing_is_proven_before_it_is_known_whose_journal_it_is(
    follower: Follower, told: JournalEvents
) -> None:
    """HubSpot need not name the portal with the token; another's journal tells nothing of ours."""
    sure = follower.coverage[0]
    follower.coverage.append(replace(sure, names_portal=False))
    follower.journal.publish(told.changed("bookings", "7", name="x") | {"portalId": 1})
    follower.journal.publish(told.changed("bookings", "7", name="x") | {"portalId": None})
    follower.catch_up()
    before = proof().epoch

    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.catch_up()

    assert before == ""
    assert proof().proven


def test_what_another_portals_journal_lost_proves_nothing_either(
    follower: Follower, told: JournalEvents
) -> None:
    """After a loss all is dropped and an epoch begins, but only of a journal that is ours."""
    sure = follower.coverage[0]
    follower.coverage.append(replace(sure, names_portal=False))
    follower.journal.publish(told.changed("bookings", "7", name="x") | {"portalId": 1})
    follower.catch_up()
    follower.journal.expire()
    follower.journal.publish(told.changed("bookings", "7", name="x") | {"portalId": 1})
    follower.catch_up()
    after_the_loss = proof()

    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.catch_up()

    assert follower.count(FeedHappening.OFFSET_LOST) == 1
    assert not after_the_loss.proven
    assert proof().proven
    assert position().recount_due


@pytest.mark.parametrize(
    "other", [{"client_id": "other"}, {"portal_id": "62516"}, {"api_version": "2026-03"}]
)
def test_another_journal_is_begun_as_after_a_lost_offset(
    at_end: Follower, told: JournalEvents, other: dict[str, str]
) -> None:
    """What it told while nobody followed it is unknown, and an offset of one means nothing to the
    other."""
    before = proof().epoch
    dropped = len(composition.services().cached.cache.invalidator.latest)
    journal = MemoryJournal()
    latest = journal.publish()
    follower = follow(journal, lease=at_end.lease, config=replace(CONFIG, **other))

    follower.catch_up()

    assert position().offset == latest
    assert position().recount_due
    assert position().lost_at is not None
    assert follower.count(FeedHappening.OFFSET_LOST) == 1
    assert len(composition.services().cached.cache.invalidator.latest) > dropped
    assert proof().epoch not in {"", before}


def test_another_journal_whose_beginning_was_cut_off_is_begun_again(
    at_end: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = follow(at_end.journal, lease=at_end.lease, config=replace(CONFIG, client_id="other"))
    with monkeypatch.context() as patched:
        patched.setattr(type(at_end.feed.positions), "begin", cut_off)
        with pytest.raises(ConnectionError):
            follower.step()
    was_proven = proof().proven

    follower.catch_up()

    assert not was_proven
    assert position().recount_due


def cut_off(*_: object, **__: object) -> None:
    raise ConnectionError


def test_the_very_first_start_has_missed_nothing(follower: Follower) -> None:
    follower.catch_up()

    assert not position().recount_due
    assert follower.count(FeedHappening.OFFSET_LOST) == 0
