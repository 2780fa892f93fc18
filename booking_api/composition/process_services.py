"""What one process shares between its requests, built on first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from booking_api.composition.parts import (
    REAL_TIME,
    Clocks,
    build_availability_watch,
    build_cached_portal,
    build_cursor_seal,
    build_desk_context,
    build_evidence,
    build_feed,
    build_own_links,
    build_own_writes,
    build_seen_students,
    build_shared_clock,
    build_student_pairs,
    build_told_records,
)
from booking_api.desk.events import DeskEvent, DeskObserver
from booking_api.desk.factory import BookingDesk, build_booking_desk
from booking_api.pairs.seen_students import SeenStudents
from booking_api.pairs.student_pairs import StudentPairs
from booking_api.queries.likely_ids import LikelyExams
from booking_api.rules.cursors import CursorSeal
from cache_layer.counters import TallyObserver
from cache_layer.endings import EndingsObserver
from cache_layer.operating.audit import record_invalidation
from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.background.worker import Worker
from hubspot_sync.feed.change_feed import ChangeFeed
from hubspot_sync.feed.observers import DelayObserver, FeedObserver, FeedObservers
from hubspot_sync.inbox.observers import EventObserver, EventObservers, InboxObserver
from hubspot_sync.portal.portal_facts import has_marker_fact
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.portal.unreadable_values import UnreadableObserver, UnreadableValues
from hubspot_sync.reading.availability import AvailabilityWatch
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.portal_reads import HubSpotReads, PortalReads
from hubspot_sync.webhooks.pipeline import WebhookPipeline, build_webhook_pipeline
from hubspot_sync.wire.call_log import CallObserver, WireObserver
from hubspot_sync.wire.http_exchange import Sender
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.writing.linked_bookings import LinkedBookingReads
from hubspot_sync.writing.portal_writes import note_nowhere

log = structlog.get_logger(__name__)

# Of the server's threads, for questions that anybody may ask.
MAX_ANONYMOUS_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What one process shares between its requests."""

    pid: int
    profile: PortalProfile
    client: HubSpotClient
    hubspot: PortalReads
    cached: CachedPortal
    booking: BookingDesk
    webhooks: WebhookPipeline
    feed: ChangeFeed | None
    unreadable: UnreadableValues
    availability: AvailabilityWatch
    anonymous_places: threading.BoundedSemaphore
    pairs: StudentPairs
    seen: SeenStudents
    cursor_seal: CursorSeal
    likely: LikelyExams
    clocks: Clocks

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that serve by themselves, without the desk's."""
        return (
            self.webhooks.worker,
            self.unreadable.worker,
            self.availability.worker,
            self.pairs.right.worker,
            self.seen.worker,
        )

    def close(self) -> None:
        """End all threads, at the same time, and close connections."""
        for worker in self.workers:
            worker.begin_stop()
        # First: others wait for its lease.
        self._close_booking()
        for worker in self.workers:
            worker.stop()
        if self.feed is not None:
            self.feed.close()
        self.cached.cache.close()
        self.client.close()

    def _close_booking(self) -> None:
        try:
            self.booking.close()
        except DatabaseFailure:
            log.exception("desk_not_closed")  # its lease is left, and runs out


class Composition:
    """Holds the process's services, and who wants to hear of their calls.

    `clocks` are the real ones but for those who live through an hour in seconds, and `sender` the
    client's own but for those who watch its calls; they are read when the services are built.
    """

    def __init__(self) -> None:
        self.clocks = REAL_TIME
        self.sender: Sender | None = None
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._serves_callers = True
        self._observers: list[CallObserver] = []
        self._wire_observers: list[WireObserver] = []
        self._tally_observers: list[TallyObserver] = []
        self._endings_observers: list[EndingsObserver] = []
        self._webhook_observers = EventObservers()
        self._feed_observers = FeedObservers()
        self._desk_observers: list[DeskObserver] = []
        self._unreadable_observers: list[UnreadableObserver] = []

    def observe_calls(self, observer: CallObserver) -> None:
        """Tell `observer` of every call to HubSpot; does nothing the second time."""
        with self._lock:
            if observer in self._observers:
                return
            self._observers.append(observer)
            if self._services is not None:
                self._services.client.call_log.observe(observer)

    def observe_wire(self, observer: WireObserver) -> None:
        """Tell `observer` of batches, of the circuit breaker and of pauses; does nothing the second
        time."""
        with self._lock:
            if observer in self._wire_observers:
                return
            self._wire_observers.append(observer)
            if self._services is not None:
                self._services.client.call_log.observe_events(observer)

    def observe_cache(self, of_tallies: TallyObserver, of_endings: EndingsObserver) -> None:
        """Tell `of_tallies` of all that the cache counts and `of_endings` of entries that end; does
        nothing the second time."""
        with self._lock:
            if of_tallies in self._tally_observers:
                return
            self._tally_observers.append(of_tallies)
            self._endings_observers.append(of_endings)
            if self._services is not None:
                self._services.cached.cache.counters.observe(of_tallies)
                self._services.cached.cache.endings.observe(of_endings)

    def observe_webhooks(self, observer: EventObserver, of_inbox: InboxObserver) -> None:
        """Tell `observer` what becomes of webhook events and `of_inbox` how many wait; does nothing
        the second time."""
        with self._lock:
            if observer not in self._webhook_observers.of_events:
                self._webhook_observers.of_events.append(observer)
                self._webhook_observers.of_inbox.append(of_inbox)

    def observe_feed(self, observer: FeedObserver, of_delay: DelayObserver) -> None:
        """Tell `observer` what happens with the change feed and `of_delay` how late it is; does
        nothing the second time."""
        with self._lock:
            if observer not in self._feed_observers.of_feed:
                self._feed_observers.of_feed.append(observer)
                self._feed_observers.of_delay.append(of_delay)

    def observe_desk(self, observer: DeskObserver) -> None:
        """Tell `observer` of what the booking desk does; does nothing the second time."""
        with self._lock:
            if observer not in self._desk_observers:
                self._desk_observers.append(observer)

    def observe_unreadable(self, observer: UnreadableObserver) -> None:
        """Tell `observer` of every value that cannot be read; does nothing the second time."""
        with self._lock:
            if observer not in self._unreadable_observers:
                self._unreadable_observers.append(observer)

    def built_services(self) -> Services | None:
        """Return this process's services where there are any yet."""
        services = self._services
        return services if services is not None and services.pid == os.getpid() else None

    def services(self) -> Services:
        """Return this process's services; raise ConfigurationError for a bad portal profile."""
        services = self._services
        if services is not None and services.pid == os.getpid():
            return services
        with self._lock:
            if self._services is None or self._services.pid != os.getpid():
                self._services = self._build()
            return self._services

    @contextmanager
    def command_services(self) -> Iterator[Services]:
        """Inside the block, this process's services are a command's beside a server: the desk does
        its own jobs and serves no caller. They are closed at the end."""
        self.close()
        self._serves_callers = False
        try:
            yield self.services()
        finally:
            self.close()
            self._serves_callers = True

    def hand_on(self) -> None:
        """Let other processes serve the booking desk: this one is about to end."""
        services = self._services
        if services is not None and services.pid == os.getpid():
            services.booking.desk.hand_on()

    def close(self) -> None:
        """Close connections and threads; the next use builds anew."""
        with self._lock:
            services, self._services = self._services, None
        if services is not None and services.pid == os.getpid():
            services.close()

    def _notify_desk_observers(self, event: DeskEvent) -> None:
        for observer in self._desk_observers:
            observer(event)

    def _notify_unreadable_observers(self, kind: str, property_name: str) -> None:
        for observer in self._unreadable_observers:
            observer(kind, property_name)

    def _build(self) -> Services:
        profile = load_profile(settings.HUBSPOT_PORTAL)
        client = build_client(
            settings.HUBSPOT,
            observers=tuple(self._observers),
            event_observers=tuple(self._wire_observers),
            redis_url=settings.REDIS_URL or None,
            day=PortalDay(zone=profile.time_zone, now=self.clocks.now),
            sender=self.sender,
        )
        unreadable = UnreadableValues(self.clocks.now, self._notify_unreadable_observers)
        shared_now = build_shared_clock(self.clocks)
        told = build_told_records(shared_now, self.clocks.monotonic)
        hubspot = HubSpotReads(
            profile=profile,
            coalescer=client.coalescer,
            fan_out_for=client.fan_out_for,
            now=self.clocks.now,
            note=unreadable.note,
            recent=told,
        )
        has_marker = has_marker_fact(profile, client.transport, self.clocks.monotonic)
        evidence = build_evidence(profile, client, self.clocks, has_marker, unreadable.note)
        linked = LinkedBookingReads(
            profile, client.transport, unreadable.note, self.clocks.monotonic
        )
        own = build_own_links(shared_now, self.clocks.monotonic)
        own_writes = build_own_writes(self._feed_observers, shared_now)
        likely = LikelyExams()
        cached = build_cached_portal(
            profile, client, hubspot, settings.CACHE, self.clocks, told, own, likely=likely
        )
        cached.cache.invalidator.add_observer(record_invalidation)
        for of_tallies in self._tally_observers:
            cached.cache.counters.observe(of_tallies)
        for of_endings in self._endings_observers:
            cached.cache.endings.observe(of_endings)
        seen = build_seen_students(self.clocks)
        booking = build_booking_desk(
            build_desk_context(
                *(profile, client, hubspot, told, evidence, linked, has_marker, cached),
                *(shared_now, self._notify_desk_observers),
                note_nowhere if own_writes is None else own_writes.note,
            ),
            serves_callers=self._serves_callers,
            forget_also=seen.forget,
        )
        webhooks = build_webhook_pipeline(
            profile=profile,
            cached=cached,
            hubspot=hubspot,
            request_recounts=booking.recounts.request,
            exams_of_bookings=booking.exams_of_bookings,
            request_forgetting=booking.erasures.request,
            note_merges=booking.note_merges,
            observers=self._webhook_observers,
            told=told,
            now=shared_now,
            host_now=self.clocks.now,
        )
        return Services(
            pid=os.getpid(),
            profile=profile,
            client=client,
            hubspot=hubspot,
            cached=cached,
            booking=booking,
            webhooks=webhooks,
            feed=None
            if own_writes is None
            else build_feed(
                profile=profile,
                cached=cached,
                told=told,
                event_observers=self._webhook_observers,
                observers=self._feed_observers,
                own_writes=own_writes,
                wake_applier=webhooks.worker.wake,
                now=shared_now,
                clock=self.clocks.monotonic,
            ),
            unreadable=unreadable,
            availability=build_availability_watch(client, hubspot, self.clocks),
            anonymous_places=threading.BoundedSemaphore(
                max(1, int(settings.SERVER_THREADS * MAX_ANONYMOUS_SHARE))
            ),
            pairs=build_student_pairs(cached, hubspot, self.clocks),
            seen=seen,
            cursor_seal=build_cursor_seal(),
            likely=likely,
            clocks=self.clocks,
        )
