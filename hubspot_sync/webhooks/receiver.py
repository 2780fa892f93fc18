"""The half of the pipeline that HubSpot waits for: drop what is outdated, store, answer.

In this order, so that whatever is stored has been invalidated: killed in between, nothing is
stored, nothing was answered, and HubSpot sends it again. An event that is known drops nothing once
more when the cache has heard of it: whoever sends an old delivery again and again keeps no cache
cold and costs no call. HubSpot is asked nothing here.
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
from hubspot_sync.inbox.inbox import Inbox, KnownEvents, NewEvent
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers, EventOutcome
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.webhooks.signature import InvalidSignature, SignatureResult
from hubspot_sync.webhooks.signature_policy import is_timely

logger = logging.getLogger(__name__)

State = WebhookEvent.State
CachedExams = Mapping[str, frozenset[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a request's events: how many were stored, were known already, cannot be
    understood, believed or stored; the exams to recount as far as they are known; whether something
    is left for the background."""

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
        told: ToldRecords,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._profile = profile
        self._cached = cached
        self._inbox = inbox
        self._observers = observers
        self._told = told
        self._now = now

    def receive(self, body: bytes, *, is_timed: bool = True) -> Receipt:
        """Drop what the events outdate and store them. `is_timed` says that the signature proves
        when they were sent; else an event must be of these days, and the others are errors.

        Raises MalformedEvents where there is no event, TooManyEvents, InvalidSignature where there
        are events and none may be believed, and Django's database errors where the database is
        away, InvalidationUnacknowledged among them: HubSpot should send them again.
        """
        read = read_events(body, self._profile.object_types)
        now = self._now()
        events = [event for event in read.events if is_timed or is_timely(event, now)]
        outdated = len(read.events) - len(events)
        if outdated > 0:
            logger.warning(
                "%d events were signed without a time and are not of these days", outdated
            )
            if len(events) == 0:
                raise InvalidSignature(SignatureResult.OUT_OF_DATE)
        known = self._inbox.find_known(events)
        new_events = self._invalidate_unheard(events, known)
        stored = self._inbox.store(new_events)
        duplicates = len(events) - len(stored.new) - stored.refused
        self._notify(stored.new, duplicates)
        incomplete = sum(event.incomplete for event in events)
        return Receipt(
            processed=len(stored.new),
            duplicates=duplicates,
            errors=incomplete + read.no_events + outdated + stored.refused,
            exam_ids=frozenset(exam_id for event in stored.new for exam_id in event.exam_ids),
            waiting=any(event.state == State.RECEIVED for event in stored.new),
        )

    def _invalidate_unheard(self, events: Sequence[Event], known: KnownEvents) -> list[NewEvent]:
        """Drop what is outdated by events that the cache has not heard of; return those that are to
        be stored."""
        unheard = [event for event in events if event.digest not in known.heard]
        effects = [effect_of(event, self._profile) for event in unheard]
        cached_exams = self._find_cached_exams(effects)
        # First, so that whoever loads anew what is dropped now knows of it.
        self._told.note(effects)
        invalidated = self._invalidate(effects)
        if invalidated:
            self._inbox.mark_heard(known.unheard)
        return [
            _new_event(event, effect, cached_exams, invalidated=invalidated)
            for event, effect in zip(unheard, effects, strict=True)
            if event not in known
        ]

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
        return self._cached.cache.invalidator.invalidate_tags(
            tags, cause=Cause.WEBHOOK
        ).acknowledged

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
