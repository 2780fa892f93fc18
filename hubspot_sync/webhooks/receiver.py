"""The half of the pipeline that HubSpot waits for: drop what is outdated, store, answer.

In this order, so that whatever is stored has been invalidated: killed in between, nothing is stored,
nothing was answered, and HubSpot sends it again. Duplicates are invalidated too, which is harmless.
HubSpot is asked nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from cache_layer import BackendUnavailable, Cause
from hubspot_sync.inbox.cached_links import exams_shown_with
from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import Event, read_events
from hubspot_sync.inbox.inbox import Inbox, Incoming
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal

logger = logging.getLogger(__name__)

State = WebhookEvent.State
Shown = Mapping[str, frozenset[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a request's events: stored, known already, not to be understood; the exams to
    recount as far as they are known; whether something is left for the background."""

    processed: int
    duplicates: int
    errors: int
    exam_ids: frozenset[str]
    waiting: bool


class Receiver:
    """Takes requests' bodies."""

    def __init__(
        self,
        *,
        profile: PortalProfile,
        cached: CachedPortal,
        inbox: Inbox,
        observers: EventObservers,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._profile = profile
        self._cached = cached
        self._inbox = inbox
        self._observers = observers
        self._now = now

    def receive(self, body: bytes) -> Receipt:
        """Drop what the events outdate and store them; raise MalformedEvents, and Django's database
        errors, after which HubSpot should send them again."""
        events = read_events(body, self._profile.object_types)
        effects = [effect_of(event, self._profile) for event in events]
        shown = self._shown(effects)
        heard = self._drop(effects)
        incoming = [
            _incoming(event, effect, shown, heard=heard)
            for event, effect in zip(events, effects, strict=True)
        ]
        stored = self._inbox.store(incoming)
        self._tell(stored, len(incoming) - len(stored))
        return Receipt(
            processed=len(stored),
            duplicates=len(incoming) - len(stored),
            errors=sum(event.incomplete for event in events),
            exam_ids=frozenset(exam_id for one in stored for exam_id in one.exam_ids),
            waiting=any(one.state == State.RECEIVED for one in stored),
        )

    def _shown(self, effects: Sequence[Effect]) -> Shown:
        bookings = frozenset(id_ for effect in effects for id_ in effect.bookings)
        try:
            return exams_shown_with(bookings, self._cached)
        except BackendUnavailable:
            logger.warning("The cache could not say which exams it shows with bookings")
            return {}

    def _drop(self, effects: Sequence[Effect]) -> bool:
        """Return whether the cache has heard of it."""
        tags = frozenset(tag for effect in effects for tag in effect.tags)
        if len(tags) == 0:
            return True
        return self._cached.cache.invalidator.invalidate_tags(tags, cause=Cause.WEBHOOK).delivered

    def _tell(self, stored: Sequence[Incoming], duplicates: int) -> None:
        done = [one.event for one in stored if one.state == State.APPLIED]
        ignored = sum(one.state == State.IGNORED for one in stored)
        self._observers.tell(EventOutcome.RECEIVED, len(stored))
        self._observers.tell(EventOutcome.DUPLICATE, duplicates)
        self._observers.tell(EventOutcome.IGNORED, ignored)
        now = self._now()
        delays = tuple(now - event.occurred_at for event in done if event.occurred_at is not None)
        self._observers.tell(EventOutcome.APPLIED, len(done), delays)


def _incoming(event: Event, effect: Effect, shown: Shown, *, heard: bool) -> Incoming:
    known = (shown.get(booking_id, frozenset()) for booking_id in effect.bookings)
    state = State.RECEIVED
    if effect.is_nothing:
        state = State.IGNORED
    elif heard and not effect.counts:
        state = State.APPLIED
    return Incoming(
        event=event, state=state, invalidated=heard, exam_ids=effect.exams.union(*known)
    )
