"""The half of the pipeline that runs in the background: which exams are to be recounted?

Rows are claimed, what the cache has not heard of is told to it again, HubSpot is asked for the
links of all of them at once, and the recounts are asked for in the transaction that marks the rows
as applied. Killed anywhere, the rows come back and are done again, which is harmless. What cannot
be done now is requeued, each time for longer; an event whose own fault it is, is moved aside and
holds up no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from cache_layer import Cause
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.errors import HubSpotError
from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import ObjectKind, RecordRef, read_event
from hubspot_sync.inbox.inbox import Claim, Inbox
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.inbox.portal_links import PortalLinks, fetch_links
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.json_parser import parse_json

logger = logging.getLogger(__name__)

# So many rows are applied together; what they ask of HubSpot, they ask in one call of each kind.
MAX_PER_CLAIM: Final = 1000
CACHE_DOES_NOT_ANSWER: Final = "The cache does not answer."

RequestRecounts = Callable[[Collection[str]], None]
ExamsOfBookings = Callable[[Collection[str]], Mapping[str, str]]
RequestForgetting = Callable[[Collection[str]], None]
NoteMerges = Callable[[Iterable[Collection[str]]], None]


def find_no_exams(_: Collection[str]) -> Mapping[str, str]:
    """Return the exams of bookings where nobody keeps a journal: none is known."""
    return {}


def forget_nobody(_: Collection[str]) -> None:
    """For those who keep nothing of persons."""


def note_nothing(_: Iterable[Collection[str]]) -> None:
    """For those who keep nothing of contacts."""


@dataclass(slots=True)
class ClaimedEvent:
    """A claimed row, what its event means, and why it cannot be finished now, if it cannot."""

    row: WebhookEvent
    effect: Effect
    error: str = ""


@dataclass(slots=True)
class ApplyResult:
    """How many rows were applied, requeued, given up; and the exams asked to be recounted."""

    applied: int = 0
    requeued: int = 0
    failed: int = 0
    exam_ids: set[str] = field(default_factory=set)


class Applier:
    """Takes up what waits.

    `request_recounts` and `request_forgetting` are called inside a transaction: they write down
    which exams are to be recounted and which contacts' persons are to be forgotten, and ask nobody;
    `note_merges` which contacts have become one.
    `exams_of_bookings` is what a journal of our own bookings knows: the exam of each.
    """

    def __init__(
        self,
        *,
        profile: PortalProfile,
        cached: CachedPortal,
        hubspot: PortalReads,
        inbox: Inbox,
        observers: EventObservers,
        told: ToldRecords,
        request_recounts: RequestRecounts,
        exams_of_bookings: ExamsOfBookings = find_no_exams,
        request_forgetting: RequestForgetting = forget_nobody,
        note_merges: NoteMerges = note_nothing,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._profile = profile
        self._cached = cached
        self._hubspot = hubspot
        self._inbox = inbox
        self._observers = observers
        self._told = told
        self._request_recounts = request_recounts
        self._exams_of_bookings = exams_of_bookings
        self._request_forgetting = request_forgetting
        self._note_merges = note_merges
        self._now = now

    def apply_waiting(self, *, only_invalidated: bool = False) -> ApplyResult:
        """Apply all that waits and is due; raise Django's database errors.

        `only_invalidated` leaves out what the cache still has to hear of: for a process whose cache
        answers no readers.
        """
        result = ApplyResult()
        while True:
            claim = self._inbox.claim(MAX_PER_CLAIM, only_invalidated=only_invalidated)
            if len(claim.rows) == 0:
                for source, number in self._inbox.count_waiting_by_source().items():
                    self._observers.notify_waiting(source, number)
                return result
            # Only a database that is away is no row's fault: the claims come back by themselves.
            do_apart(
                claim.rows,
                partial(self._apply_together, claim, result),
                partial(self._give_up, claim, result),
            )

    def _give_up(
        self, claim: Claim, result: ApplyResult, row: WebhookEvent, error: Exception
    ) -> None:
        logger.error("Webhook event %s cannot be applied", row.id, exc_info=error)
        self._inbox.mark_failed(claim, [row], _describe(error))
        result.failed += 1
        self._notify(EventOutcome.FAILED, [row])

    def _apply_together(
        self, claim: Claim, result: ApplyResult, rows: Sequence[WebhookEvent]
    ) -> None:
        events = [ClaimedEvent(row, self._read_effect(row)) for row in rows]
        self._invalidate_unheard(claim, events)
        journaled, links = self._look_up_links(events)
        exam_ids = self._collect_exam_ids(events, journaled, links)
        done = [event.row for event in events if event.error == ""]
        merges = [event.effect.merged for event in events if len(event.effect.merged) > 0]
        forgotten = frozenset().union(*(event.effect.forgotten for event in events))
        with transaction.atomic():
            self._note_merges(merges)  # first: whoever is forgotten is so by all their ids
            if len(exam_ids) > 0:
                self._request_recounts(exam_ids)
            if len(forgotten) > 0:
                self._request_forgetting(forgotten)
            self._inbox.mark_applied(claim, done)
        result.exam_ids |= exam_ids
        result.applied += len(done)
        self._notify(EventOutcome.APPLIED, done)
        self._requeue(claim, [event for event in events if event.error != ""], result)

    def _read_effect(self, row: WebhookEvent) -> Effect:
        event = read_event(parse_json(row.raw.encode()), self._profile.object_types)
        return effect_of(event, self._profile)

    def _invalidate_unheard(self, claim: Claim, events: Sequence[ClaimedEvent]) -> None:
        """Tell the cache what it has not heard of; note at each event where it does not answer."""
        unheard = [event for event in events if not event.row.invalidated]
        if len(unheard) == 0:
            return
        if self._invalidate(tag for event in unheard for tag in event.effect.tags):
            self._inbox.mark_invalidated(claim, [event.row for event in unheard])
            return
        for event in unheard:
            event.error = CACHE_DOES_NOT_ANSWER

    def _look_up_links(
        self, events: Sequence[ClaimedEvent]
    ) -> tuple[Mapping[str, str], PortalLinks]:
        """Return what our journal (booking id to exam id) and HubSpot know of the bookings; the
        links of restored records are invalidated."""
        booking_ids = {booking_id for event in events for booking_id in event.effect.booking_ids}
        journaled = self._exams_of_bookings(booking_ids) if len(booking_ids) > 0 else {}
        to_ask = {
            booking_id
            for event in events
            if event.effect.links_known and not _is_own_write(event.effect, journaled)
            for booking_id in event.effect.booking_ids
        }
        restored = {record for event in events for record in event.effect.restored}
        links = fetch_links(self._hubspot, to_ask, restored)
        self._told.note((), links.relinked)
        if not self._invalidate(links.tags):
            for event in events:
                if len(event.effect.restored) > 0:
                    event.error = CACHE_DOES_NOT_ANSWER
        return journaled, links

    def _collect_exam_ids(
        self, events: Sequence[ClaimedEvent], journaled: Mapping[str, str], links: PortalLinks
    ) -> frozenset[str]:
        """Return the exams to recount; note at each event what HubSpot could not say."""
        exam_ids: set[str] = set()
        made_by_us = _find_own_creations(events, journaled)
        for event in events:
            effect = event.effect
            if _is_own_write(effect, journaled) or _is_own_link(event, journaled, made_by_us):
                continue
            exam_ids |= set(event.row.exam_ids) | effect.exam_ids
            for booking_id in effect.booking_ids:
                exam_ids.update(links.exams.if_found(booking_id) or ())
                if booking_id in journaled:
                    exam_ids.add(journaled[booking_id])
            bookings = (
                [RecordRef(ObjectKind.BOOKING, booking_id) for booking_id in effect.booking_ids]
                if effect.links_known
                else []
            )
            for record in (*bookings, *effect.restored):
                if record in links.unknown:
                    event.error = _describe(links.unknown[record])
        return frozenset(exam_ids)

    def _invalidate(self, tags: Iterable[str]) -> bool:
        """Drop what is tagged so from the cache; return whether every process will see it."""
        named = frozenset(tags)
        if len(named) == 0:
            return True
        return self._cached.cache.invalidator.invalidate_tags(
            named, cause=Cause.WEBHOOK
        ).acknowledged

    def _requeue(self, claim: Claim, events: Sequence[ClaimedEvent], result: ApplyResult) -> None:
        by_error: dict[str, list[WebhookEvent]] = {}
        for event in events:
            by_error.setdefault(event.error, []).append(event.row)
        for error, rows in by_error.items():
            given_up = self._inbox.requeue(claim, rows, error)
            logger.warning("%d webhook events wait for another attempt: %s", len(rows), error)
            result.failed += len(given_up)
            result.requeued += len(rows) - len(given_up)
            self._notify(EventOutcome.FAILED, given_up)
            self._notify(EventOutcome.REQUEUED, [row for row in rows if row not in given_up])

    def _notify(self, outcome: EventOutcome, rows: Sequence[WebhookEvent]) -> None:
        """Tell the observers what became of rows; of those applied how long it took, too."""
        for source in WebhookEvent.Source:
            those = [row for row in rows if row.source == source]
            delays = self._measure_delays(those) if outcome is EventOutcome.APPLIED else ()
            self._observers.notify(source, outcome, len(those), delays)

    def _measure_delays(self, rows: Sequence[WebhookEvent]) -> tuple[timedelta, ...]:
        now = self._now()
        return tuple(now - row.occurred_at for row in rows if row.occurred_at is not None)


def _describe(error: Exception) -> str:
    """Return what may be kept of an error: its words may quote a person's data."""
    return error.safe_text if isinstance(error, HubSpotError) else type(error).__name__


def _is_own_write(effect: Effect, journaled: Mapping[str, str]) -> bool:
    """Whether our own write caused it: the app made the change, and the journal has the booking, so
    whoever wrote it has counted it too. HubSpot's own journal does not say who made a change; a
    booking that ours has was made by us."""
    return (
        (effect.by_subscriber or effect.is_creation)
        and len(effect.booking_ids) > 0
        and all(booking_id in journaled for booking_id in effect.booking_ids)
    )


def _find_own_creations(
    events: Iterable[ClaimedEvent], journaled: Mapping[str, str]
) -> frozenset[str]:
    """Return the bookings that we made of which HubSpot's journal tells among these events."""
    return frozenset(
        booking_id
        for event in events
        if event.row.source == WebhookEvent.Source.JOURNAL and event.effect.is_creation
        for booking_id in event.effect.booking_ids
        if booking_id in journaled
    )


def _is_own_link(
    event: ClaimedEvent, journaled: Mapping[str, str], made_by_us: frozenset[str]
) -> bool:
    """Whether a booking that we made was linked to its exam, told together with its creation. Who
    takes that link away, and makes it again, is told of later: by events that are recounted."""
    effect = event.effect
    return (
        event.row.source == WebhookEvent.Source.JOURNAL
        and effect.is_linking
        and len(effect.booking_ids) > 0
        and effect.booking_ids <= made_by_us
        and effect.exam_ids == {journaled[booking_id] for booking_id in effect.booking_ids}
    )
