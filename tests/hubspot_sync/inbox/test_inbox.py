"""The inbox: every event stored once, claimed by one, claimed anew after a crash, pruned."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from hubspot_sync.background.backoff import backoff
from hubspot_sync.inbox.events import read_event
from hubspot_sync.inbox.inbox import (
    CLAIMED_FOR,
    FIRST_RETRY_S,
    MAX_ATTEMPTS,
    MAX_RETRY_S,
    Inbox,
    NewEvent,
)
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.profile import load_profile

State = WebhookEvent.State
TYPES = load_profile("default").object_types
WEEK = timedelta(days=7)

pytestmark = pytest.mark.django_db


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 9, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(clock: Clock) -> Inbox:
    return Inbox(clock)


def new_events(
    numbers: Iterable[int], *, state: State = State.RECEIVED, invalidated: bool = True
) -> list[NewEvent]:
    return [
        NewEvent(
            event=read_event(
                {"eventId": number, "subscriptionType": "booking.creation", "objectId": 9}, TYPES
            ),
            state=state,
            invalidated=invalidated,
            exam_ids=frozenset({"5"}),
        )
        for number in numbers
    ]


def states() -> list[str]:
    return list(WebhookEvent.objects.order_by("id").values_list("state", flat=True))


def test_an_event_is_stored_once_however_often_it_comes(inbox: Inbox) -> None:
    first = inbox.store(new_events([1, 2, 2]))
    second = inbox.store(new_events([2, 3]))

    assert [new_event.event.event_id for new_event in first.new] == ["1", "2"]
    assert [new_event.event.event_id for new_event in second.new] == ["3"]
    assert WebhookEvent.objects.count() == 3


def test_thousands_of_events_in_one_request_are_stored(inbox: Inbox) -> None:
    assert len(inbox.store(new_events(range(3_000))).new) == 3_000
    assert len(inbox.claim(5_000).rows) == 3_000


def test_one_event_that_our_database_refuses_costs_no_other(inbox: Inbox) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER refusal BEFORE INSERT ON hubspot_sync_webhookevent "
            "WHEN NEW.event_id = '63' BEGIN SELECT RAISE(ABORT, 'no such value here'); END"
        )

    stored = inbox.store(new_events(range(100)))

    assert (len(stored.new), stored.refused) == (99, 1)
    assert WebhookEvent.objects.count() == 99


def test_a_row_is_claimed_by_one_alone_the_oldest_first(inbox: Inbox) -> None:
    inbox.store(new_events([1, 2, 3]))

    first, second, third = inbox.claim(2), inbox.claim(2), inbox.claim(2)

    assert [row.event_id for row in first.rows] == ["1", "2"]
    assert [row.event_id for row in second.rows] == ["3"]
    assert third.rows == ()


@pytest.mark.django_db(transaction=True)
def test_of_many_claimers_at_once_each_row_goes_to_one(inbox: Inbox) -> None:
    inbox.store(new_events(range(200)))
    taken: list[int] = []
    ready = threading.Barrier(4)

    def claim() -> None:
        ready.wait(timeout=10)
        while rows := inbox.claim(7).rows:
            taken.extend(row.id for row in rows)
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(taken) == len(set(taken)) == 200


def test_the_claims_of_a_killed_worker_come_back(inbox: Inbox, clock: Clock) -> None:
    inbox.store(new_events([1]))
    dead = inbox.claim(1)

    clock.move(CLAIMED_FOR - timedelta(seconds=1))
    assert inbox.claim(1).rows == ()
    clock.move(timedelta(seconds=1))
    heir = inbox.claim(1)

    assert [row.attempts for row in heir.rows] == [2]
    assert inbox.mark_applied(dead, dead.rows) == 0
    assert inbox.mark_applied(heir, heir.rows) == 1
    assert states() == ["applied"]


def test_what_failed_is_tried_again_later_each_time(inbox: Inbox, clock: Clock) -> None:
    inbox.store(new_events([1]))
    for attempt in range(1, MAX_ATTEMPTS):
        claimed = inbox.claim(1)
        assert inbox.requeue(claimed, claimed.rows, "HubSpot is away") == []
        assert inbox.claim(1).rows == ()
        clock.move(backoff(attempt, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S))

    last = inbox.claim(1)

    assert inbox.requeue(last, last.rows, "HubSpot is away") == list(last.rows)
    clock.move(timedelta(days=1))
    assert inbox.claim(1).rows == ()
    row = WebhookEvent.objects.get()
    assert (row.state, row.error, row.attempts) == ("failed", "HubSpot is away", MAX_ATTEMPTS)


@pytest.mark.parametrize("state", [State.APPLIED, State.FAILED, State.IGNORED])
def test_any_event_can_be_applied_again(state: State, inbox: Inbox) -> None:
    inbox.store(new_events([1], state=state))
    assert inbox.claim(1).rows == ()

    assert inbox.reopen(list(WebhookEvent.objects.values_list("id", flat=True))) == 1

    (row,) = inbox.claim(1).rows
    assert (row.invalidated, row.attempts, row.applied_at) == (False, 1, None)


def test_what_the_cache_has_not_heard_of_can_be_left_to_others(inbox: Inbox) -> None:
    inbox.store([*new_events([1], invalidated=False), *new_events([2])])

    assert [row.event_id for row in inbox.claim(5, only_invalidated=True).rows] == ["2"]
    assert [row.event_id for row in inbox.claim(5).rows] == ["1"]


def test_what_was_applied_or_ignored_goes_after_its_time_and_nothing_else(
    inbox: Inbox, clock: Clock
) -> None:
    for number, state in enumerate(State):
        inbox.store(new_events([number], state=state))

    clock.move(WEEK)
    assert inbox.prune(WEEK) == 0
    clock.move(timedelta(seconds=1))
    assert inbox.prune(WEEK) == 2

    assert states() == ["received", "failed"]
