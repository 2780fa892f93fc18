"""The journal fails, forgets, or says what nobody understands: nothing is lost, nothing is held to
be fresh that may not be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from booking_api import composition
from cache_layer import BackendUnavailable
from hubspot_sync.errors import (
    HubSpotError,
    OffsetGone,
    RateLimited,
    Refused,
    Unavailable,
)
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.feed.proof import MAX_EPOCH_S, MIN_EPOCH_S
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.models import WebhookEvent
from tests.journal import (
    Follower,
    JournalEvents,
    Seconds,
    follow,
    position,
    proof,
)

pytestmark = pytest.mark.django_db


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
    at_end: Follower, told: JournalEvents, error: HubSpotError, rest_s: float
) -> None:
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.failures.append(error)

    assert at_end.step() == rest_s
    assert position().failing_since is not None
    at_end.catch_up()

    assert WebhookEvent.objects.count() == 1
    assert position().failing_since is None
    assert position().error == ""


def test_failures_in_a_row_are_tried_again_later_and_later(at_end: Follower) -> None:
    at_end.journal.failures.extend(Unavailable("", status=500) for _ in range(8))

    rests = [at_end.step() for _ in range(8)]

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]


def test_nothing_is_confirmed_while_the_journal_fails(at_end: Follower) -> None:
    confirmed = at_end.count(FeedHappening.CONFIRMED)
    at_end.journal.failures.extend([Unavailable(""), Unavailable("")])

    at_end.step()
    at_end.step()

    assert at_end.count(FeedHappening.CONFIRMED) == confirmed


def test_a_cache_that_is_away_loses_no_event(
    at_end: Follower, told: JournalEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed = at_end.count(FeedHappening.CONFIRMED)
    cache = composition.services().cached.cache
    at_end.journal.publish(told.changed("bookings", "7", name="x"))

    def refuse(*_: object, **__: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(type(cache.freshness), "describe", refuse)
        at_end.catch_up()

    assert WebhookEvent.objects.count() == 1
    assert at_end.count(FeedHappening.CONFIRMED) == confirmed


# A lost offset


def test_after_a_lost_offset_everything_is_dropped_and_recounted(
    at_end: Follower, told: JournalEvents
) -> None:
    epoch = proof().epoch
    at_end.journal.expire()
    latest = at_end.journal.publish(told.changed("bookings", "7", name="x"))

    at_end.catch_up()

    assert position().offset == latest
    assert position().recount_due
    assert position().lost_at is not None
    assert position().epoch_reason == "offset lost"
    assert proof().epoch not in {"", epoch}
    assert at_end.count(FeedHappening.OFFSET_LOST) == 1


def test_an_offset_is_asked_for_before_everything_is_dropped(
    at_end: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_end.journal.expire()
    at_end.journal.publish()
    at_end.journal.calls.clear()
    freshness = type(composition.services().cached.cache.freshness)
    begin = freshness.begin_epoch

    def note_and_begin(*arguments: Any, **named: Any) -> str:
        at_end.journal.calls.append("begin")
        return begin(*arguments, **named)

    monkeypatch.setattr(freshness, "begin_epoch", note_and_begin)
    at_end.catch_up()

    calls = at_end.journal.calls
    assert calls.index("latest") < calls.index("begin")


def test_a_quiet_portals_offset_may_go_and_nothing_was_missed(
    at_end: Follower, told: JournalEvents
) -> None:
    epoch = proof().epoch
    at_end.journal.expire()

    at_end.catch_up()

    assert proof().epoch == epoch
    assert not position().recount_due
    assert at_end.count(FeedHappening.OFFSET_LOST) == 0
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.catch_up()
    assert WebhookEvent.objects.count() == 1


def test_an_empty_journal_proves_nothing_to_whoever_was_away_too_long(at_end: Follower) -> None:
    at_end.journal.expire()

    with time_machine.travel(timezone.now() + timedelta(days=3), tick=True):
        follow(at_end.journal, lease=at_end.lease).catch_up()

    assert position().recount_due
    assert position().epoch_reason == "offset lost"


def test_offsets_that_are_lost_again_and_again_empty_no_cache_each_time(
    at_end: Follower, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where HubSpot does not know the very offset that it has just named."""

    def read_next(*_: object) -> None:
        raise OffsetGone("", status=404)

    monkeypatch.setattr(type(at_end.journal), "read_next", read_next)
    monkeypatch.setattr(type(at_end.journal), "read_batch_next", read_next)
    before = at_end.count(FeedHappening.EPOCH)

    for _ in range(400):
        seconds.move(max(at_end.step(), 0.1))
    assert seconds.now_s > 2 * MAX_EPOCH_S
    assert 1 < at_end.count(FeedHappening.EPOCH) - before < 20
    assert not proof().proven
    assert position().failing_since is not None

    monkeypatch.undo()
    seconds.move(MAX_EPOCH_S)
    at_end.catch_up()
    assert proof().proven


# Events that nobody understands


POISON: list[dict[str, Any]] = [
    {"objectId": "not a number"},
    {"objectId": None},
    {"objectId": 0},
    {"objectId": [7]},
    {"objectId": "9" * 40},
    {"objectTypeId": None},
    {"objectTypeId": {"a": 1}},
    {"objectTypeId": "bookings"},
    {"objectTypeId": "p62515_bookings"},
    {"action": "UNARCHIVE"},
    {"action": None},
    {"action": "MERGE"},
    {"action": "MERGE", "mergedObjectIds": ["x"]},
    {"action": "MERGE", "mergedObjectIds": "8"},
]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("poison", POISON)
def test_an_event_that_nobody_understands_costs_itself_and_the_proof(
    at_end: Follower, told: JournalEvents, seconds: Seconds, poison: dict[str, Any]
) -> None:
    before = proof().epoch
    at_end.journal.publish(
        told.changed("bookings", "7", name="x"),
        told.record("UPDATE", "bookings", "8") | poison,
        told.changed("bookings", "9", name="x"),
    )

    at_end.catch_up()

    stored = {event.records for event in WebhookEvent.objects.all()}
    assert {"booking 7", "booking 9"} <= stored
    assert not proof().proven
    seconds.move(MIN_EPOCH_S)
    at_end.catch_up()
    assert proof().proven
    assert proof().epoch != before


def test_what_is_no_event_at_all_ends_the_proof_too(at_end: Follower) -> None:
    at_end.journal.publish(unreadable=1)

    at_end.catch_up()

    assert not proof().proven


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "odd",
    [
        {"propertyChanges": None},
        {"propertyChanges": ["name"]},
        {"propertyChanges": {}},
        {"propertyChanges": {"": "x"}},
        {"propertyChanges": 7},
        {"propertyChanges": {f"p{n}": "x" for n in range(2_000)}},
        {"type": "behavioralEvent", "action": "COMPLETED"},
        {"portalId": 62515.0},
        {"objectId": 7.0},
        {"objectId": "7"},
        {"occurredAt": 1_700_000_000_000},
        {"occurredAt": "yesterday"},
        {"unknown": {"deep": [1]}},
    ],
)
def test_whatever_form_an_event_has_what_it_is_about_is_dropped(
    at_end: Follower, told: JournalEvents, odd: dict[str, Any]
) -> None:
    at_end.journal.publish(told.changed("bookings", "7", name="x") | odd)

    at_end.catch_up()

    assert {event.records for event in WebhookEvent.objects.all()} == {"booking 7"}
    assert proof().proven


def test_a_link_between_types_by_other_words_ends_the_proof(
    at_end: Follower, told: JournalEvents
) -> None:
    link = told.link(("contacts", "7"), ("bookings", "8"))
    at_end.journal.publish(link | {"toObjectTypeId": "bookings"})

    at_end.catch_up()

    assert not proof().proven


@pytest.mark.parametrize("type_id", [None, "contact", "0-1"])
def test_whoever_wants_to_be_forgotten_is_a_contact(
    at_end: Follower, told: JournalEvents, type_id: str | None
) -> None:
    wish = told.record("GDPR_DELETE", "contacts", "7")
    at_end.journal.publish(wish | {"objectTypeId": type_id})

    at_end.catch_up()

    assert {event.records for event in WebhookEvent.objects.all()} == {"contact 7"}
    assert proof().proven


def test_a_restored_record_that_our_database_refuses_ends_the_proof(
    at_end: Follower, told: JournalEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_row = Inbox._build_row

    def build_refused_row(*arguments: Any) -> WebhookEvent:
        row = build_row(*arguments)
        row.exam_ids = object()
        return row

    monkeypatch.setattr(Inbox, "_build_row", build_refused_row)
    at_end.journal.publish(told.record("RESTORE", "bookings", "7"))

    at_end.catch_up()

    assert not WebhookEvent.objects.exists()
    assert not proof().proven
