"""The half of the pipeline that HubSpot waits for: drop what is outdated, store, answer.

In this order, so that whatever is stored has been invalidated: killed in between, nothing is
stored, nothing was answered, and HubSpot sends it again. Duplicates are invalidated too, which is
harmless. HubSpot is asked nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from cache_layer import BackendUnavailable, Cause
from hubspot_sync.inbox.cached_links import find_cached_exams
from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import Event, read_events
from hubspot_sync.inbox.inbox import Inbox, NewEvent
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal

logger = logging.getLogger(__name__)

State = WebhookEvent.State
CachedExams = Mapping[str, frozenset[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a request's events: how many were stored, were known already, cannot be
    understood or stored; the exams to recount as far as they are known; whether something is left
    for the background."""

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
        """Drop what the events outdate and store them. Raises MalformedEvents where there is no
        event, and Django's database errors where the database is away: HubSpot should send them
        again."""
        read = read_events(body, self._profile.object_types)
        events = read.events
        effects = [effect_of(event, self._profile) for event in events]
        cached_exams = self._find_cached_exams(effects)
        invalidated = self._invalidate(effects)
        new_events = [
            _new_event(event, effect, cached_exams, invalidated=invalidated)
            for event, effect in zip(events, effects, strict=True)
        ]
        stored = self._inbox.store(new_events)
        duplicates = len(new_events) - len(stored.new) - stored.refused
        self._notify(stored.new, duplicates)
        incomplete = sum(event.incomplete for event in events)
        return Receipt(
            processed=len(stored.new),
            duplicates=duplicates,
            errors=incomplete + read.no_events + stored.refused,
            exam_ids=frozenset(exam_id for event in stored.new for exam_id in event.exam_ids),
            waiting=any(event.state == State.RECEIVED for event in stored.new),
        )

    def _find_cached_exams(self, effects: Sequence[Effect]) -> CachedExams:
        booking_ids = frozenset(
            booking_id for effect in effects for booking_id in effect.booking_ids
        )
        try:
            return find_cached_exams(booking_ids, self._cached)
        except BackendUnavailable:
            logger.warning("The cache could not say which exams it shows with bookings")
            return {}

    def _invalidate(self, effects: Sequence[Effect]) -> bool:
        """Drop what the effects outdate from the cache; return whether it has heard of it."""
        tags = frozenset(tag for effect in effects for tag in effect.tags)
        if len(tags) == 0:
            return True
        return self._cached.cache.invalidator.invalidate_tags(tags, cause=Cause.WEBHOOK).delivered

    def _notify(self, stored: Sequence[NewEvent], duplicates: int) -> None:
        done = [new_event.event for new_event in stored if new_event.state == State.APPLIED]
        ignored = sum(new_event.state == State.IGNORED for new_event in stored)
        self._observers.notify(EventOutcome.RECEIVED, len(stored))
        self._observers.notify(EventOutcome.DUPLICATE, duplicates)
        self._observers.notify(EventOutcome.IGNORED, ignored)
        now = self._now()
        delays = tuple(now - event.occurred_at for event in done if event.occurred_at is not None)
        self._observers.notify(EventOutcome.APPLIED, len(done), delays)


def _new_event(
    event: Event, effect: Effect, cached_exams: CachedExams, *, invalidated: bool
) -> NewEvent:
    """Return the event as it is to be stored, with what is left to do about it."""
    also = (cached_exams.get(booking_id, frozenset()) for booking_id in effect.booking_ids)
    state = State.RECEIVED
    if effect.is_nothing:
        state = State.IGNORED
    elif invalidated and not effect.needs_applying:
        state = State.APPLIED
    return NewEvent(
        event=event,
        state=state,
        invalidated=invalidated,
        exam_ids=effect.exam_ids.union(*also),
    )
