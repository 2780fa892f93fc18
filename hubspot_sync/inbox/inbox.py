"""The inbox: every event stored once, applied by whoever claimed its row, never lost.

Storing is one transaction; what is already there is recognised by its digest. A claim is an update
that looks at the number of rows it changed, and no lock: of two workers one gets a row. It moves
the time on at which the row is due, so the rows of a worker that was killed come back by
themselves. Doing an event's work twice is harmless, so what could be done twice or not at all is
done twice.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from typing_extensions import override

from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.isolation import write_apart
from hubspot_sync.background.retention import delete_expired
from hubspot_sync.inbox.events import Event, EventKind, RecordRef, dump_json
from hubspot_sync.inbox.kept_fields import keep_fields
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.wire.storable_text import make_storable

State = WebhookEvent.State
Source = WebhookEvent.Source

logger = logging.getLogger(__name__)

CLAIMED_FOR = timedelta(minutes=1)
FIRST_RETRY_S = 2.0
MAX_RETRY_S = 600.0
# With the waits above, an event is given up after two hours of failures.
MAX_ATTEMPTS = 20
# SQLite takes a limited number of values in one query.
CHUNK = 500
BETWEEN_RECORDS = ", "
RELINKING_KINDS = (EventKind.RESTORE, EventKind.MERGE)
"""Events that bring back links which are asked for when they are applied."""

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event as it is to be stored; `state` is what is left to do once its tags are dropped."""

    event: Event
    state: State
    invalidated: bool
    exam_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows that are this worker's for a while, and the id in them that proves it."""

    id: uuid.UUID
    rows: tuple[WebhookEvent, ...]

    @override
    def __repr__(self) -> str:
        return f"<{len(self.rows)} rows claimed>"


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored for the first time, and how many events our database refused."""

    new: tuple[NewEvent, ...]
    refused: int


@dataclass(frozen=True, slots=True)
class KnownEvents:
    """Digests of events that are stored: those the cache has heard of, and the others."""

    heard: frozenset[str]
    unheard: frozenset[str]

    def __contains__(self, event: Event) -> bool:
        return event.digest in self.heard or event.digest in self.unheard


class Inbox:
    """The rows, for those who store, apply and prune them; `now` is what they go by."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now

    def store(
        self, new_events: Sequence[NewEvent], source: Source = WebhookEvent.Source.WEBHOOK
    ) -> Stored:
        """Store what is not there yet, in one transaction. An event that our database refuses is
        logged and counted, the others are stored."""
        receipt = uuid.uuid4()
        first: dict[str, NewEvent] = {}
        for new_event in new_events:
            first.setdefault(new_event.event.digest, new_event)
        refused, stored = set[str](), set[str]()

        def insert(part: Sequence[NewEvent]) -> None:
            rows = [self._build_row(new_event, receipt, source) for new_event in part]
            WebhookEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=CHUNK)

        def count(new_event: NewEvent, error: Exception) -> None:
            logger.error("An event cannot be stored", exc_info=error)
            refused.add(new_event.event.digest)

        with transaction.atomic():
            write_apart(list(first.values()), insert, count)
            # The same event may come in two requests at once: the receipt says whose row it became.
            for chunk in _chunks(list(first)):
                ours = WebhookEvent.objects.filter(digest__in=chunk, receipt=receipt)
                stored.update(ours.values_list("digest", flat=True))
        return Stored(
            new=tuple(new_event for digest, new_event in first.items() if digest in stored),
            refused=sum(new_event.event.digest in refused for new_event in new_events),
        )

    def find_known(self, events: Collection[Event]) -> KnownEvents:
        """Return which of these events are stored already."""
        found: dict[str, bool] = {}
        for chunk in _chunks(list({event.digest for event in events})):
            rows = WebhookEvent.objects.filter(digest__in=chunk)
            found.update(rows.values_list("digest", "invalidated"))
        heard = frozenset(digest for digest, invalidated in found.items() if invalidated)
        return KnownEvents(heard, frozenset(found).difference(heard))

    def mark_heard(self, digests: Collection[str]) -> None:
        """Mark that the cache has heard of the events with these digests, whoever claimed them."""
        for chunk in _chunks(list(digests)):
            WebhookEvent.objects.filter(digest__in=chunk).update(invalidated=True)

    def claim(self, max_rows: int, *, only_invalidated: bool = False) -> Claim:
        """Claim rows that wait and are due, the oldest first; `only_invalidated` leaves out those
        that the cache still has to hear of."""
        now, claim_id = self._now(), uuid.uuid4()
        due = Q(state=State.RECEIVED, due_at__lte=now)
        if only_invalidated:
            due &= Q(invalidated=True)
        due_rows = WebhookEvent.objects.filter(due).order_by("id")
        ids = list(due_rows.values_list("id", flat=True)[:max_rows])
        rows: list[WebhookEvent] = []
        for chunk in _chunks(ids):
            named = WebhookEvent.objects.filter(id__in=chunk)
            # Looked at again in the same step: somebody else may have been first.
            taken = named.filter(due).update(
                claim=claim_id, due_at=now + CLAIMED_FOR, attempts=F("attempts") + 1
            )
            if taken > 0:
                rows.extend(named.filter(claim=claim_id).order_by("id"))
        return Claim(claim_id, tuple(rows))

    def mark_applied(self, claim: Claim, rows: Iterable[WebhookEvent]) -> int:
        """Mark rows as done; return how many were still this claim's."""
        return self._update_claimed(
            claim,
            rows,
            state=State.APPLIED,
            applied_at=self._now(),
            invalidated=True,
            error="",
        )

    def mark_invalidated(self, claim: Claim, rows: Iterable[WebhookEvent]) -> int:
        """Mark that the cache has heard of these; return how many were still this claim's."""
        return self._update_claimed(claim, rows, invalidated=True)

    def requeue(self, claim: Claim, rows: Iterable[WebhookEvent], error: str) -> list[WebhookEvent]:
        """Have rows taken up again, after each failure later than after the one before; return
        those that have failed too often and were marked as failed instead."""
        given_up = [row for row in rows if row.attempts >= MAX_ATTEMPTS]
        self.mark_failed(claim, given_up, error)
        by_attempts: dict[int, list[WebhookEvent]] = {}
        for row in rows:
            if row.attempts < MAX_ATTEMPTS:
                by_attempts.setdefault(row.attempts, []).append(row)
        for attempts, group in by_attempts.items():
            due_at = self._now() + backoff(attempts, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
            self._update_claimed(
                claim, group, due_at=due_at, claim=None, error=_fit_column(error, 500)
            )
        return given_up

    def mark_failed(self, claim: Claim, rows: Iterable[WebhookEvent], error: str) -> int:
        """Move rows aside: nothing but `reopen` has them taken up again; return how many were still
        this claim's."""
        return self._update_claimed(
            claim, rows, state=State.FAILED, claim=None, error=_fit_column(error, 500)
        )

    def reopen(self, ids: Collection[int]) -> int:
        """Have rows applied anew, whatever became of them; return how many."""
        return sum(
            WebhookEvent.objects.filter(id__in=chunk).update(
                state=State.RECEIVED,
                invalidated=False,
                attempts=0,
                error="",
                applied_at=None,
                claim=None,
                due_at=self._now(),
            )
            for chunk in _chunks(list(ids))
        )

    def reopen_known(self, digests: Collection[str]) -> int:
        """Have the events with these digests applied anew; return how many there are. What is not
        done with yet is left alone."""
        ended = WebhookEvent.objects.exclude(state__in=(State.RECEIVED, State.IGNORED))
        return sum(
            self.reopen(list(ended.filter(digest__in=chunk).values_list("id", flat=True)))
            for chunk in _chunks(sorted(digests))
        )

    def prune(self, keep: timedelta) -> int:
        """Delete what was applied or ignored longer than `keep` ago; return how many rows."""
        return delete_expired(ended_before, keep=keep, now=self._now())

    def count_waiting(self) -> int:
        """Return how many rows are still to be applied."""
        return sum(self.count_waiting_by_source().values())

    def count_waiting_by_source(self) -> dict[Source, int]:
        """Return how many rows of each source are still to be applied."""
        waiting = WebhookEvent.objects.filter(state=State.RECEIVED).order_by()
        counted = dict(waiting.values_list("source").annotate(Count("id")))
        return {source: counted.get(source, 0) for source in Source}

    def oldest_undelivered(self, source: Source, since: datetime) -> datetime | None:
        """Return when the oldest event of a source was received, since a moment, of which the cache
        may not know all yet: it has not heard of it, or links that it brings back are still to be
        asked for. None where there is no such event."""
        pending = WebhookEvent.objects.filter(
            Q(invalidated=False) | Q(kind__in=RELINKING_KINDS),
            state__in=(State.RECEIVED, State.FAILED),
            source=source,
            received_at__gte=since,
        )
        return pending.order_by("received_at").values_list("received_at", flat=True).first()

    def _build_row(self, new_event: NewEvent, receipt: uuid.UUID, source: Source) -> WebhookEvent:
        event, now = new_event.event, self._now()
        return WebhookEvent(
            digest=event.digest,
            event_id=_fit_column(event.event_id, 40),
            subscription=_fit_column(event.subscription, 100),
            kind=event.kind,
            records=_fit_column(BETWEEN_RECORDS.join(map(_name_record, event.records)), 200),
            property_name=_fit_column(event.property_name, 200),
            change_source=_fit_column(event.change_source, 60),
            raw=dump_json(keep_fields(event.raw)).decode(),
            receipt=receipt,
            source=source,
            state=new_event.state,
            invalidated=new_event.invalidated,
            exam_ids=sorted(new_event.exam_ids),
            occurred_at=event.occurred_at,
            received_at=now,
            applied_at=now if new_event.state == State.APPLIED else None,
            due_at=now,
        )

    def _update_claimed(
        self, claim: Claim, rows: Iterable[WebhookEvent], /, **values: object
    ) -> int:
        ids = [row.id for row in rows]
        return sum(
            WebhookEvent.objects.filter(id__in=chunk, claim=claim.id).update(**values)
            for chunk in _chunks(ids)
        )


def ended_before(moment: datetime) -> QuerySet[WebhookEvent]:
    """Return what was applied or ignored before. What waits or failed stays until somebody has
    looked at it."""
    done = Q(state=State.APPLIED, applied_at__lt=moment)
    return WebhookEvent.objects.filter(done | Q(state=State.IGNORED, received_at__lt=moment))


def find_about(refs: Collection[RecordRef]) -> QuerySet[WebhookEvent]:
    """Return the events about these records, by an index: those that name one of them alone or
    first, as a merge names its survivor and a link the record that it goes out from."""
    named = Q(records__in=list(map(_name_record, refs)))
    for ref in refs:
        named |= Q(records__startswith=f"{_name_record(ref)}{BETWEEN_RECORDS}")
    return WebhookEvent.objects.filter(named)


def _name_record(ref: RecordRef) -> str:
    return f"{ref.kind} {ref.id}"


def _fit_column(text: str, max_length: int) -> str:
    """Cut a text to its column's length."""
    return make_storable(text)[:max_length]


def _chunks(values: Sequence[V]) -> Iterable[Sequence[V]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
