"""The journal fails, forgets, or says what nobody understands: nothing is lost, nothing is held to
be fresh that may not be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper, LeaseLost
from cache_layer import BackendUnavailable
from hubspot_sync.errors import (
    FileUnreadable,
    HubSpotError,
    RateLimited,
    Refused,
    Unavailable,
)
from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.feed.positions import PositionMoved
from hubspot_sync.feed.proof import MIN_EPOCH_S, Coverage
from hubspot_sync.feed.reader import MAX_FILE_TROUBLE_S
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.journal import LEASE_FOR, Follower, JournalEvents, MemoryJournal, follow

pytestmark = pytest.mark.django_db


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s

    def move(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def follower(api: Api, journal: MemoryJournal, seconds: Seconds) -> Follower:
    """At the end of a journal that has an entry; the proof holds."""
    journal.publish()
    follower = follow(journal, clock=seconds)
    follower.catch_up()
    return follower


def proof() -> Any:
    return composition.services().cached.cache.freshness.describe()


def position() -> FeedPosition:
    return FeedPosition.objects.get()


# Failures that pass


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (RateLimited("", status=429, retry_after_s=7.0), 7.0),
        (RateLimited("", status=429, retry_after_s=1e9), 300.0),
        (Unavailable("", status=502), 1.0),
        (Refused("", status=403), 1.0),
    ],
)
def test_a_failure_is_written_down_and_tried_again(
    follower: Follower, told: JournalEvents, error: HubSpotError, rest_s: float
) -> None:
    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.journal.failures.append(error)

    assert follower.step() == rest_s
    assert position().failing_since is not None
    follower.catch_up()

    assert WebhookEvent.objects.count() == 1
    assert position().failing_since is None
    assert position().error == ""


def test_failures_in_a_row_are_tried_again_later_and_later(follower: Follower) -> None:
    follower.journal.failures.extend(Unavailable("", status=500) for _ in range(8))

    rests = [follower.step() for _ in range(8)]

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]


def test_nothing_is_confirmed_while_the_journal_fails(follower: Follower) -> None:
    confirmed = follower.count(FeedHappening.CONFIRMED)
    follower.journal.failures.extend([Unavailable(""), Unavailable("")])

    follower.step()
    follower.step()

    assert follower.count(FeedHappening.CONFIRMED) == confirmed


def test_a_cache_that_is_away_loses_no_event(
    follower: Follower, told: JournalEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed = follower.count(FeedHappening.CONFIRMED)
    cache = composition.services().cached.cache
    follower.journal.publish(told.changed("bookings", "7", name="x"))

    def refuse(*_: object, **__: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(type(cache.freshness), "describe", refuse)
        follower.catch_up()

    assert WebhookEvent.objects.count() == 1
    assert follower.count(FeedHappening.CONFIRMED) == confirmed


# A lost offset


def test_after_a_lost_offset_everything_is_dropped_and_recounted(
    follower: Follower, told: JournalEvents
) -> None:
    epoch = proof().epoch
    follower.journal.expire()
    latest = follower.journal.publish(told.changed("bookings", "7", name="x"))

    follower.catch_up()

    assert position().offset == latest
    assert position().recount_due
    assert position().lost_at is not None
    assert position().epoch_reason == "offset lost"
    assert proof().epoch not in {"", epoch}
    assert follower.count(FeedHappening.OFFSET_LOST) == 1


def test_an_offset_is_asked_for_before_everything_is_dropped(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.journal.expire()
    follower.journal.publish()
    follower.journal.calls.clear()
    freshness = type(composition.services().cached.cache.freshness)
    begin = freshness.begin_epoch

    def note_and_begin(*arguments: Any, **named: Any) -> str:
        follower.journal.calls.append("begin")
        return begin(*arguments, **named)

    monkeypatch.setattr(freshness, "begin_epoch", note_and_begin)
    follower.catch_up()

    calls = follower.journal.calls
    assert calls.index("latest") < calls.index("begin")


def test_a_quiet_portals_offset_may_go_and_nothing_was_missed(
    follower: Follower, told: JournalEvents
) -> None:
    epoch = proof().epoch
    follower.journal.expire()

    follower.catch_up()

    assert proof().epoch == epoch
    assert not position().recount_due
    assert follower.count(FeedHappening.OFFSET_LOST) == 0
    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.catch_up()
    assert WebhookEvent.objects.count() == 1


def test_an_empty_journal_proves_nothing_to_whoever_was_away_too_long(follower: Follower) -> None:
    follower.journal.expire()

    with time_machine.travel(timezone.now() + timedelta(days=3), tick=True):
        follow(follower.journal, lease=follower.lease).catch_up()

    assert position().recount_due
    assert position().epoch_reason == "offset lost"


# Files


def test_a_file_that_comes_later_is_waited_for(
    follower: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    first = follower.journal.publish(told.changed("bookings", "6", name="x"))
    broken = follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.journal.broken[broken] = Unavailable("", status=503)
    follower.step()
    follower.step()
    seconds.move(10 * MAX_FILE_TROUBLE_S)
    follower.step()

    assert position().offset == first
    follower.journal.broken.clear()
    follower.catch_up()
    assert WebhookEvent.objects.count() == 2


def test_a_file_that_is_none_is_passed_over_as_all_it_may_have_said(
    follower: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    epoch = proof().epoch
    broken = follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.journal.publish(told.changed("bookings", "8", name="x"))
    follower.journal.broken[broken] = FileUnreadable("", reason="not_json")
    follower.step()
    seconds.move(MAX_FILE_TROUBLE_S / 2)
    assert follower.step() > 0
    seconds.move(MAX_FILE_TROUBLE_S / 2)

    follower.catch_up()

    assert [event.records for event in WebhookEvent.objects.all()] == ["booking 8"]
    assert position().epoch_reason == "file lost"
    assert position().recount_due
    assert proof().epoch not in {"", epoch}


POISON: list[dict[str, Any]] = [
    {"objectId": "not a number"},
    {"objectId": None},
    {"objectId": 0},
    {"objectId": [7]},
    {"objectId": "9" * 40},
    {"objectTypeId": None},
    {"objectTypeId": {"a": 1}},
    {"action": "MERGE"},
    {"action": "MERGE", "mergedObjectIds": ["x"]},
    {"action": "MERGE", "mergedObjectIds": "8"},
]


@pytest.mark.parametrize("poison", POISON)
def test_an_event_that_nobody_understands_costs_itself_and_the_proof(
    follower: Follower, told: JournalEvents, seconds: Seconds, poison: dict[str, Any]
) -> None:
    before = proof().epoch
    follower.journal.publish(
        told.changed("bookings", "7", name="x"),
        told.record("UPDATE", "bookings", "8") | poison,
        told.changed("bookings", "9", name="x"),
    )

    follower.catch_up()

    stored = {event.records for event in WebhookEvent.objects.all()}
    assert {"booking 7", "booking 9"} <= stored
    assert not proof().proven
    seconds.move(MIN_EPOCH_S)
    follower.catch_up()
    assert proof().proven
    assert proof().epoch != before


def test_what_is_no_event_at_all_ends_the_proof_too(follower: Follower) -> None:
    follower.journal.publish(unreadable=1)

    follower.catch_up()

    assert not proof().proven


@pytest.mark.parametrize(
    "odd",
    [
        {"propertyChanges": None},
        {"propertyChanges": ["name"]},
        {"propertyChanges": {}},
        {"propertyChanges": {"": "x"}},
        {"propertyChanges": 7},
        {"propertyChanges": {f"p{n}": "x" for n in range(2_000)}},
        {"action": "SOMETHING_NEW"},
        {"action": None},
        {"objectId": 7.0},
        {"objectId": "7"},
        {"occurredAt": 1_700_000_000_000},
        {"occurredAt": "yesterday"},
        {"unknown": {"deep": [1]}},
    ],
)
def test_whatever_form_an_event_has_what_it_is_about_is_dropped(
    follower: Follower, told: JournalEvents, odd: dict[str, Any]
) -> None:
    follower.journal.publish(told.changed("bookings", "7", name="x") | odd)

    follower.catch_up()

    assert {event.records for event in WebhookEvent.objects.all()} == {"booking 7"}
    assert proof().proven


# Epochs


def test_other_subscriptions_begin_another_epoch(follower: Follower, seconds: Seconds) -> None:
    before = proof().epoch
    follower.coverage.append(Coverage(mark="second", families=frozenset()))
    seconds.move(60)

    follower.catch_up()

    assert proof().epoch not in {"", before}
    assert proof().covered == frozenset()
    assert position().epoch_reason == "subscriptions changed"


def test_nothing_is_confirmed_while_the_subscriptions_are_not_known(
    follower: Follower, seconds: Seconds
) -> None:
    follower.coverage.append(Unavailable(""))
    seconds.move(11)
    follower.catch_up()
    confirmed = follower.count(FeedHappening.CONFIRMED)

    seconds.move(31)
    follower.catch_up()

    assert follower.count(FeedHappening.CONFIRMED) == confirmed


def test_a_proof_that_somebody_ended_begins_anew_not_at_once(
    follower: Follower, seconds: Seconds
) -> None:
    """As a validation does that finds drift."""
    before = proof().epoch
    composition.services().cached.cache.freshness.end_proof()

    follower.catch_up()
    assert proof().epoch == ""

    seconds.move(MIN_EPOCH_S)
    follower.catch_up()
    assert proof().epoch not in {"", before}


def test_another_follower_goes_on_in_the_same_epoch(follower: Follower) -> None:
    before = proof().epoch
    follower.lease.give_back()

    follow(follower.journal).catch_up()

    assert proof().epoch == before
    assert proof().proven


def test_a_restored_record_is_confirmed_when_its_links_were_asked_for(
    follower: Follower, told: JournalEvents, portal: Portal
) -> None:
    booking = portal.booking(portal.student("alice"), portal.exam())
    confirmed = follower.count(FeedHappening.CONFIRMED)
    follower.journal.publish(told.record("RESTORE", "bookings", booking.id))

    follower.catch_up()
    assert follower.count(FeedHappening.CONFIRMED) == confirmed

    composition.services().webhooks.applier.apply_waiting()
    follower.catch_up()
    assert follower.count(FeedHappening.CONFIRMED) > confirmed


def test_an_event_not_applied_for_a_minute_begins_another_epoch(
    follower: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    before = proof().epoch
    follower.journal.publish(told.record("RESTORE", "bookings", "7"))
    follower.catch_up()
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(seconds=61))
    FeedPosition.objects.update(epoch_began_at=timezone.now() - timedelta(seconds=90))
    seconds.move(90)

    follower.catch_up()

    assert proof().epoch not in {"", before}
    assert position().epoch_reason == "event not applied"
    assert proof().proven


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


# Leases


def test_whoever_lost_the_lease_stores_nothing_and_moves_nothing(
    follower: Follower, told: JournalEvents
) -> None:
    before = position().offset
    follower.journal.publish(told.changed("bookings", "7", name="x"))

    def overtake() -> None:
        follower.journal.before_answer = lambda: None
        follower.lease.expire()
        assert LeaseKeeper("feed", LEASE_FOR).acquire() is not None

    follower.journal.before_answer = overtake
    with pytest.raises(LeaseLost):
        follower.step()

    assert position().offset == before
    assert not WebhookEvent.objects.exists()


def test_an_overtaken_follower_confirms_nothing(follower: Follower) -> None:
    follower.lease.expire()
    other = follow(follower.journal)
    other.catch_up()
    confirmed = follower.count(FeedHappening.CONFIRMED)

    follower.step()

    assert follower.count(FeedHappening.CONFIRMED) == confirmed
    assert proof().term == other.lease.epoch


def test_an_offset_that_somebody_moved_is_not_moved_on(
    follower: Follower, told: JournalEvents
) -> None:
    """Both hold a lease of the same row, as no two can."""
    follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.journal.before_answer = lambda: FeedPosition.objects.update(offset="elsewhere")

    with pytest.raises(PositionMoved):
        follower.step()

    assert not WebhookEvent.objects.exists()


def test_another_apps_position_is_none_of_ours(follower: Follower) -> None:
    FeedPosition.objects.update(source="another app's")

    follower.catch_up()

    assert FeedPosition.objects.count() == 1
    assert position().source != "another app's"


# Delay


def created(told: JournalEvents, number: int) -> dict[str, Any]:
    return told.record("CREATE", "bookings", str(number))


def test_the_delay_is_from_the_answer_to_our_write_until_the_feed_shows_it(
    follower: Follower, told: JournalEvents
) -> None:
    follower.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=5))
    follower.journal.publish(created(told, 7))

    follower.catch_up()

    (delay_s,) = follower.delays
    assert 5 <= delay_s < 10
    assert position().delay_s == delay_s
    assert not OwnWrite.objects.exists()


def test_a_write_that_is_not_read_back_ends_the_proof_until_one_is(
    follower: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    follower.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=61))

    follower.catch_up()
    assert not proof().proven
    assert follower.count(FeedHappening.LATE) == 1
    seconds.move(2 * MIN_EPOCH_S)
    follower.catch_up()
    assert not proof().proven

    follower.feed.own_writes.note(["8"])
    follower.journal.publish(created(told, 7))
    follower.catch_up()
    assert not proof().proven  # seen, and too late
    follower.journal.publish(created(told, 8))
    follower.catch_up()
    follower.catch_up()
    assert proof().proven


def test_a_write_that_was_shown_before_it_was_taken_down_is_not_late(
    follower: Follower, told: JournalEvents
) -> None:
    follower.journal.publish(created(told, 7))
    follower.catch_up()
    follower.feed.own_writes.note(["7"])
    OwnWrite.objects.update(answered_at=timezone.now() - timedelta(seconds=61))

    follower.catch_up()

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
