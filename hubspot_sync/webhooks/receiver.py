"""The half of the pipeline that HubSpot waits for: drop what is outdated, store, answer.

In this order, so that whatever is stored has been invalidated: killed in between, nothing is
stored, nothing was answered, and HubSpot sends it again. An event that is known drops nothing once
more when the cache has heard of it: whoever sends an old delivery again and again keeps no cache
cold and costs no call. HubSpot is asked nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from cache_layer import Cause
from hubspot_sync.inbox.events import Event, read_events
from hubspot_sync.inbox.inbox import Inbox, KnownEvents, NewEvent
from hubspot_sync.inbox.intake import Intake
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.webhooks.signature import InvalidSignature, SignatureResult
from hubspot_sync.webhooks.signature_policy import is_timely

logger = logging.getLogger(__name__)

State = WebhookEvent.State


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
        self._inbox = inbox
        self._now = now
        self._intake = Intake(
            profile=profile,
            cached=cached,
            observers=observers,
            told=told,
            now=now,
            source=WebhookEvent.Source.WEBHOOK,
            cause=Cause.WEBHOOK,
        )

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
        self._intake.notify(stored.new, duplicates)
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
        new_events = self._intake.invalidate(unheard)
        if all(new_event.invalidated for new_event in new_events):
            self._inbox.mark_heard(known.unheard)
        return [new_event for new_event in new_events if new_event.event not in known]
