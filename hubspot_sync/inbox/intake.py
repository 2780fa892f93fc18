"""What is done with events before they are stored: what they outdate is dropped from the cache.

In this order, so that whatever is stored has been invalidated. What a deletion does not name is
looked up in the cache before it is dropped. HubSpot is asked nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cache_layer import BackendUnavailable, Cause
from hubspot_sync.inbox.cached_links import find_cached_exams
from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import Event
from hubspot_sync.inbox.inbox import NewEvent
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal

logger = logging.getLogger(__name__)

State = WebhookEvent.State
Source = WebhookEvent.Source
CachedExams = Mapping[str, frozenset[str]]


class Intake:
    """Takes events from one source, which `cause` names to those who count invalidations."""

    def __init__(
        self,
        *,
        profile: PortalProfile,
        cached: CachedPortal,
        observers: EventObservers,
        told: ToldRecords,
        now: Callable[[], datetime],
        source: Source,
        cause: Cause,
    ) -> None:
        self._profile = profile
        self._cached = cached
        self._observers = observers
        self._told = told
        self._now = now
        self._source = source
        self._cause = cause

    def invalidate(self, events: Sequence[Event]) -> list[NewEvent]:
        """Drop what the events outdate, and return them as they are to be stored, in their order.
        Raises Django's database errors, InvalidationUnacknowledged among them."""
        effects = [effect_of(event, self._profile) for event in events]
        cached_exams = self._find_cached_exams(effects)
        # First, so that whoever loads anew what is dropped now knows of it.
        self._told.note(effects)
        invalidated = self._invalidate(effects)
        return [
            _new_event(event, effect, cached_exams, invalidated=invalidated)
            for event, effect in zip(events, effects, strict=True)
        ]

    def put_off(self, events: Sequence[Event]) -> list[NewEvent]:
        """Return the events as they are to be stored for whoever applies them to drop what they
        outdate: this process may have another cache than those that serve."""
        effects = [effect_of(event, self._profile) for event in events]
        return [
            _new_event(event, effect, {}, invalidated=False)
            for event, effect in zip(events, effects, strict=True)
        ]

    def notify(self, stored: Sequence[NewEvent], duplicates: int) -> None:
        """Tell the observers of what was stored now, and how many more were known."""
        done = [new_event.event for new_event in stored if new_event.state == State.APPLIED]
        ignored = sum(new_event.state == State.IGNORED for new_event in stored)
        self._observers.notify(self._source, EventOutcome.RECEIVED, len(stored))
        self._observers.notify(self._source, EventOutcome.DUPLICATE, duplicates)
        self._observers.notify(self._source, EventOutcome.IGNORED, ignored)
        now = self._now()
        delays = tuple(now - event.occurred_at for event in done if event.occurred_at is not None)
        self._observers.notify(self._source, EventOutcome.APPLIED, len(done), delays)

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
        """Drop what the effects outdate; return whether every process will see that."""
        tags = frozenset(tag for effect in effects for tag in effect.tags)
        if len(tags) == 0:
            return True
        return self._cached.cache.invalidator.invalidate_tags(tags, cause=self._cause).acknowledged


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
