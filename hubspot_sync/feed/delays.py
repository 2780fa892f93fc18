"""How late the feed is, on a clock of ours: from HubSpot's answer to a booking that we made until
the feed shows that it came into being.

Nobody says how late an entry appears. A booking's id is new and its creation is told once, so what
is read back is certainly that write. The time is the database's, which all processes share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import Error as DatabaseFailure
from django.db import transaction

from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.feed.observers import FeedObservers
from hubspot_sync.inbox.events import Event, EventKind, ObjectKind, RecordRef
from hubspot_sync.inbox.inbox import find_about
from hubspot_sync.inbox.models import WebhookEvent

log = structlog.get_logger(__name__)

MAX_NOTED: Final = 10
"""Of the bookings that are made together: some are enough to measure by."""
CHUNK: Final = 500
FORGET_AFTER: Final = timedelta(hours=1)
LATE_FOR: Final = timedelta(minutes=10)
"""So long after it showed a write too late, the feed is taken to be late with others too."""


@dataclass(frozen=True, slots=True)
class ShownWrites:
    """Those of our writes that some events show, and how late the latest of them was in seconds;
    None where that says nothing of HubSpot."""

    record_ids: frozenset[str] = frozenset()
    delay_s: float | None = None


class OwnWrites:
    """The bookings that we have made and the feed is to show. `max_delay_s` is how late it may."""

    def __init__(
        self, max_delay_s: float, observers: FeedObservers, now: Callable[[], datetime]
    ) -> None:
        self._max_delay = timedelta(seconds=max_delay_s)
        self._observers = observers
        self._now = now

    def note(self, booking_ids: Sequence[str]) -> None:
        """Take down that HubSpot has just answered to the making of these bookings. Never fails
        whoever made them: what is not taken down is not measured by."""
        if len(booking_ids) == 0:
            return
        try:
            with transaction.atomic():
                answered_at = self._now()
                OwnWrite.objects.bulk_create(
                    [
                        OwnWrite(record_id=booking_id, answered_at=answered_at)
                        for booking_id in booking_ids[:MAX_NOTED]
                    ],
                    ignore_conflicts=True,
                )
        except DatabaseFailure as error:
            trace = None if is_database_away(error) else error
            log.warning("own_write_not_noted", exc_info=trace, error=type(error).__name__)

    def measure(
        self, events: Collection[Event], position: FeedPosition, *, caught_up_at: datetime | None
    ) -> ShownWrites:
        """Return which of our writes are among these events, and how late.

        `caught_up_at` is when the journal last had nothing more for us: an event that was there
        for who knows how long, because nobody asked, is late by no fault of HubSpot's. Where this
        process does not know, whoever found that the feed owes a write was at the end then.
        """
        if caught_up_at is None and position.owed_since is not None:
            caught_up_at = position.delay_measured_at
        created = {
            event.records[0].id
            for event in events
            if event.kind is EventKind.CREATION and event.records[0].kind is ObjectKind.BOOKING
        }
        shown: dict[str, datetime] = {}
        for chunk in chunks(sorted(created), CHUNK):
            rows = OwnWrite.objects.filter(record_id__in=chunk)
            shown.update(rows.values_list("record_id", "answered_at"))
        if len(shown) == 0:
            return ShownWrites()
        answered_at = max(shown.values())
        delay = self._now() - answered_at
        was_missed = caught_up_at is not None and caught_up_at > answered_at
        if delay > self._max_delay and not was_missed:
            return ShownWrites(frozenset(shown))
        delay_s = max(delay.total_seconds(), 0.0)
        self._observers.notify_delay(delay_s)
        return ShownWrites(frozenset(shown), delay_s)

    def expect_no_more(self, record_ids: Collection[str]) -> None:
        """Forget writes that were shown: in the transaction that stores what showed them."""
        for chunk in chunks(sorted(record_ids), CHUNK):
            OwnWrite.objects.filter(record_id__in=chunk).delete()

    def forget(self) -> None:
        """Expect none of those that are taken down: the journal is gone on with behind them."""
        OwnWrite.objects.all().delete()

    def find_overdue(self, asked_at: datetime) -> timedelta | None:
        """Return for how long the feed, asked at this time and having nothing more, has owed us our
        oldest write; None where none is overdue. Of those owed for an hour no more is expected."""
        overdue = OwnWrite.objects.filter(answered_at__lt=asked_at - self._max_delay)
        answered = dict(overdue.values_list("record_id", "answered_at"))
        if len(answered) == 0:
            return None
        # It may have come before it was taken down, or with a process that was killed.
        refs = [RecordRef(ObjectKind.BOOKING, record_id) for record_id in answered]
        shown = find_about(refs).filter(source=WebhookEvent.Source.JOURNAL, kind=EventKind.CREATION)
        for named in shown.values_list("records", flat=True):
            answered.pop(named.removeprefix(f"{ObjectKind.BOOKING} "), None)
        overdue.exclude(record_id__in=answered).delete()
        OwnWrite.objects.filter(answered_at__lt=asked_at - FORGET_AFTER).delete()
        return asked_at - min(answered.values()) if answered else None

    def is_late(self, position: FeedPosition) -> bool:
        """Say whether the feed owes us a write for too long, or showed one too late a short while
        ago. What it never showed it owes until it shows a later one: it may miss others, too."""
        if position.owed_since is not None:
            return True
        if position.delay_s is None or position.delay_measured_at is None:
            return False
        is_over = self._now() - position.delay_measured_at >= LATE_FOR
        return position.delay_s > self._max_delay.total_seconds() and not is_over
