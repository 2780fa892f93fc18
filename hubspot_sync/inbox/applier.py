"""The half of the pipeline that runs in the background: which exams are to be recounted?

Rows are claimed, what the cache has not heard of is told to it again, HubSpot is asked for the links
of all of them at once, and the recounts are asked for in the transaction that marks the rows as
applied. Killed anywhere, the rows come back and are done again, which is harmless. What cannot be
done now is put back, each time for longer; an event whose own fault it is, is moved aside and holds
up no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from cache_layer import Cause
from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import ObjectKind, RecordRef, read_event
from hubspot_sync.inbox.inbox import Claimed, Inbox
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.inbox.portal_links import PortalLinks, ask_links
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.portal_reads import PortalReads

logger = logging.getLogger(__name__)

# So many rows are applied together; what they ask of HubSpot, they ask in one call of each kind.
MOST_AT_ONCE = 1000
NOT_HEARD = "The cache does not answer."

RequestRecounts = Callable[[Collection[str]], None]
ExamsOfBookings = Callable[[Collection[str]], Mapping[str, str]]


def no_journal(_: Collection[str]) -> Mapping[str, str]:
    """The exams of bookings where nobody keeps a journal."""
    return {}


@dataclass(slots=True)
class Work:
    """A claimed row, what its event means, and why it cannot be finished now, if it cannot."""

    row: WebhookEvent
    effect: Effect
    error: str = ""


@dataclass(slots=True)
class ApplyResult:
    """What applying did, in rows; and the exams it asked to be recounted."""

    applied: int = 0
    put_back: int = 0
    failed: int = 0
    exam_ids: set[str] = field(default_factory=set)


class Applier:
    """Takes up what waits.

    `request_recounts` is called inside a transaction: it writes down which exams are to be
    recounted, and asks nobody. `exams_of_bookings` is what a journal of our own bookings knows: the
    exam of each.
    """

    def __init__(
        self,
        *,
        profile: PortalProfile,
        cached: CachedPortal,
        hubspot: PortalReads,
        inbox: Inbox,
        observers: EventObservers,
        request_recounts: RequestRecounts,
        exams_of_bookings: ExamsOfBookings = no_journal,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._profile = profile
        self._cached = cached
        self._hubspot = hubspot
        self._inbox = inbox
        self._observers = observers
        self._request_recounts = request_recounts
        self._exams_of_bookings = exams_of_bookings
        self._now = now

    def apply_waiting(self, *, only_heard: bool = False) -> ApplyResult:
        """Apply all that waits and is due; raise Django's database errors. `only_heard` leaves out
        what the cache still has to hear of: for a process whose cache answers no readers."""
        done = ApplyResult()
        while True:
            claimed = self._inbox.claim(MOST_AT_ONCE, only_heard=only_heard)
            if len(claimed.rows) == 0:
                self._observers.tell_waiting(self._inbox.waiting())
                return done
            self._apply(claimed, claimed.rows, done)

    def _apply(self, claimed: Claimed, rows: Sequence[WebhookEvent], done: ApplyResult) -> None:
        """Apply rows together; where that fails, halve them until the one is found that cannot be
        applied."""
        try:
            self._apply_together(claimed, rows, done)
        except (OperationalError, InterfaceError):
            raise  # the database is away, no row's fault; the claims come back by themselves
        except Exception as error:
            if len(rows) == 1:
                logger.exception("Webhook event %s cannot be applied", rows[0].id)
                self._give_up(claimed, rows, f"{type(error).__name__}: {error}", done)
                return
            half = len(rows) // 2
            for part in (rows[:half], rows[half:]):
                self._apply(claimed, part, done)

    def _apply_together(
        self, claimed: Claimed, rows: Sequence[WebhookEvent], done: ApplyResult
    ) -> None:
        work = [Work(row, self._effect(row)) for row in rows]
        self._invalidate(claimed, work)
        known, linked = self._ask(work)
        exam_ids = self._exams(work, known, linked)
        ready = [one.row for one in work if one.error == ""]
        with transaction.atomic():
            if len(exam_ids) > 0:
                self._request_recounts(exam_ids)
            self._inbox.applied(claimed, ready)
        done.exam_ids |= exam_ids
        done.applied += len(ready)
        self._observers.tell(EventOutcome.APPLIED, len(ready), self._delays(ready))
        self._put_back(claimed, [one for one in work if one.error != ""], done)

    def _effect(self, row: WebhookEvent) -> Effect:
        event = read_event(orjson.loads(row.raw), self._profile.object_types)
        return effect_of(event, self._profile)

    def _invalidate(self, claimed: Claimed, work: Sequence[Work]) -> None:
        """Tell the cache what it has not heard of."""
        unheard = [one for one in work if not one.row.invalidated]
        if len(unheard) == 0:
            return
        if self._drop(tag for one in unheard for tag in one.effect.tags):
            self._inbox.heard(claimed, [one.row for one in unheard])
            return
        for one in unheard:
            one.error = NOT_HEARD

    def _ask(self, work: Sequence[Work]) -> tuple[Mapping[str, str], PortalLinks]:
        """Return what our journal and HubSpot know of the bookings; restored links are dropped."""
        bookings = {id_ for one in work for id_ in one.effect.bookings}
        known = self._exams_of_bookings(bookings) if len(bookings) > 0 else {}
        asked = {
            id_
            for one in work
            if one.effect.linked and not _is_ours(one.effect, known)
            for id_ in one.effect.bookings
        }
        restored = {record for one in work for record in one.effect.restored}
        linked = ask_links(self._hubspot, asked, restored)
        if not self._drop(linked.tags):
            for one in work:
                if len(one.effect.restored) > 0:
                    one.error = NOT_HEARD
        return known, linked

    def _exams(
        self, work: Sequence[Work], known: Mapping[str, str], linked: PortalLinks
    ) -> frozenset[str]:
        """Return the exams to recount; note at each work what HubSpot could not say."""
        exam_ids: set[str] = set()
        for one in work:
            if _is_ours(one.effect, known):
                continue
            exam_ids |= set(one.row.exam_ids) | one.effect.exams
            for booking_id in one.effect.bookings:
                exam_ids.update(linked.exams.get(booking_id, ()))
                if booking_id in known:
                    exam_ids.add(known[booking_id])
            needed = [
                RecordRef(ObjectKind.BOOKING, id_)
                for id_ in one.effect.bookings
                if one.effect.linked
            ]
            for record in (*needed, *one.effect.restored):
                if record in linked.unknown:
                    one.error = f"HubSpot: {linked.unknown[record].message}"
        return frozenset(exam_ids)

    def _drop(self, tags: Iterable[str]) -> bool:
        named = frozenset(tags)
        if len(named) == 0:
            return True
        return self._cached.cache.invalidator.invalidate_tags(named, cause=Cause.WEBHOOK).delivered

    def _put_back(self, claimed: Claimed, work: Sequence[Work], done: ApplyResult) -> None:
        by_error: dict[str, list[WebhookEvent]] = {}
        for one in work:
            by_error.setdefault(one.error, []).append(one.row)
        for error, rows in by_error.items():
            given_up = self._inbox.put_back(claimed, rows, error)
            logger.warning("%d webhook events wait for another attempt: %s", len(rows), error)
            done.failed += given_up
            done.put_back += len(rows) - given_up
            self._observers.tell(EventOutcome.FAILED, given_up)
            self._observers.tell(EventOutcome.PUT_BACK, len(rows) - given_up)

    def _give_up(
        self, claimed: Claimed, rows: Sequence[WebhookEvent], error: str, done: ApplyResult
    ) -> None:
        self._inbox.fail(claimed, rows, error)
        done.failed += len(rows)
        self._observers.tell(EventOutcome.FAILED, len(rows))

    def _delays(self, rows: Sequence[WebhookEvent]) -> tuple[timedelta, ...]:
        now = self._now()
        return tuple(now - row.occurred_at for row in rows if row.occurred_at is not None)


def _is_ours(effect: Effect, known: Mapping[str, str]) -> bool:
    """Whether our own write caused it: the app made the change, and the journal has the booking, so
    whoever wrote it has counted it too."""
    return (
        effect.by_subscriber
        and len(effect.bookings) > 0
        and all(booking_id in known for booking_id in effect.bookings)
    )
