"""Puts the parts together, once per process, on first use.

Whoever serves a request asks here for what it needs; nobody below knows how it was built. A process
that was forked builds its own: sockets and threads do not survive a fork.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.events import DeskEvent, DeskObserver
from booking_api.desk.factory import BookingDesk, build_booking_desk
from booking_api.pairs.digests import Digests
from booking_api.pairs.look_ups import LookUps
from booking_api.pairs.right_pairs import RightPairs
from booking_api.pairs.student_pairs import StudentPairs
from booking_api.queries.composed_loaders import ComposedLoaders
from booking_api.queries.query_context import QueryContext
from booking_api.rules.cursors import CursorSeal
from cache_layer import CacheConfig
from cache_layer.operating.audit import record_invalidation
from cache_layer.operating.host import CacheHost, SelfTestCheck
from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.inbox.observers import EventObserver, EventObservers, InboxObserver
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.app_identity import ask_own_app_id
from hubspot_sync.portal.association_types import AssociationTypes
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.portal.unreadable_values import UnreadableObserver, UnreadableValues
from hubspot_sync.reading.availability import AvailabilityWatch, probe_hubspot
from hubspot_sync.reading.cache_families import ComposedFamilyLoaders, LoadContext
from hubspot_sync.reading.cache_self_test import Trial, run_self_test
from hubspot_sync.reading.cached_portal import CachedPortal, ReadsFor
from hubspot_sync.reading.portal_reads import HubSpotReads, PortalReads
from hubspot_sync.reading.recent_changes import NO_RECENT_CHANGES, RecentChanges
from hubspot_sync.reading.student_pairs import PairReads
from hubspot_sync.reading.tags import tags_of_exam, tags_of_student
from hubspot_sync.webhooks.pipeline import WebhookPipeline, build_webhook_pipeline
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallObserver
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.portal_day import PortalDay
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.portal_writes import PortalWrites

# Comparing every entry of a full cache may take this long at the background's share of the budget.
MAX_VALIDATION_S = 3600.0
MAX_SELF_TEST_S = 120.0
# Of the server's threads, for questions that anybody may ask.
MAX_ANONYMOUS_SHARE = 0.5
# Of the server's threads: the others are left for students who are known.
LOOK_UPS_SHARE = 0.75


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """The time a process goes by: what is now, and what cached entries age by."""

    now: Callable[[], datetime] = timezone.now
    monotonic: Monotonic = time.monotonic


REAL_TIME = Clocks()


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
    unreadable: UnreadableValues
    availability: AvailabilityWatch
    anonymous_places: threading.BoundedSemaphore
    pairs: StudentPairs
    cursor_seal: CursorSeal
    clocks: Clocks


class Composition:
    """Holds the process's services, and who wants to hear of their calls.

    `clocks` are the real ones but for those who live through an hour in seconds; they are read when
    the services are built.
    """

    def __init__(self) -> None:
        self.clocks = REAL_TIME
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._serves_callers = True
        self._observers: list[CallObserver] = []
        self._webhook_observers = EventObservers()
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

    def observe_webhooks(self, observer: EventObserver, of_inbox: InboxObserver) -> None:
        """Tell `observer` what becomes of webhook events and `of_inbox` how many wait; does nothing
        the second time."""
        with self._lock:
            if observer not in self._webhook_observers.of_events:
                self._webhook_observers.of_events.append(observer)
                self._webhook_observers.of_inbox.append(of_inbox)

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

    def close(self) -> None:
        """Close connections and threads; the next use builds anew."""
        with self._lock:
            services, self._services = self._services, None
        if services is not None and services.pid == os.getpid():
            services.webhooks.worker.stop()
            services.unreadable.worker.stop()
            services.availability.worker.stop()
            services.pairs.right.worker.stop()
            services.booking.close()
            services.cached.cache.close()
            services.client.close()

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
            redis_url=settings.REDIS_URL or None,
            day=PortalDay(zone=profile.time_zone, now=self.clocks.now),
        )
        unreadable = UnreadableValues(self.clocks.now, self._notify_unreadable_observers)
        told = build_told_records(self.clocks)
        hubspot = HubSpotReads(
            profile=profile,
            coalescer=client.coalescer,
            now=self.clocks.now,
            note=unreadable.note,
            recent=told,
        )
        evidence = AuthoritativeReads(
            profile,
            client.batch,
            partial(ask_own_app_id, client.transport, settings.HUBSPOT.token),
            unreadable.note,
        )
        cached = build_cached_portal(profile, client, hubspot, settings.CACHE, self.clocks, told)
        cached.cache.invalidator.add_observer(record_invalidation)
        booking = build_booking_desk(
            build_desk_context(
                *(profile, client, hubspot, evidence, cached),
                *(self.clocks, self._notify_desk_observers),
            ),
            serves_callers=self._serves_callers,
        )
        return Services(
            pid=os.getpid(),
            profile=profile,
            client=client,
            hubspot=hubspot,
            cached=cached,
            booking=booking,
            webhooks=build_webhook_pipeline(
                profile=profile,
                cached=cached,
                hubspot=hubspot,
                request_recounts=booking.recounts.request,
                exams_of_bookings=booking.exams_of_bookings,
                request_forgetting=booking.erasures.request,
                observers=self._webhook_observers,
                told=told,
                now=self.clocks.now,
            ),
            unreadable=unreadable,
            availability=build_availability_watch(client, hubspot, self.clocks),
            anonymous_places=threading.BoundedSemaphore(
                max(1, int(settings.SERVER_THREADS * MAX_ANONYMOUS_SHARE))
            ),
            pairs=build_student_pairs(cached, hubspot, self.clocks),
            cursor_seal=build_cursor_seal(),
            clocks=self.clocks,
        )


def build_availability_watch(
    client: HubSpotClient, hubspot: PortalReads, clocks: Clocks
) -> AvailabilityWatch:
    watch = AvailabilityWatch(
        partial(probe_hubspot, hubspot),
        max_failures=settings.HUBSPOT.breaker_failures,
        has_day_left=client.rate_budget.has_day_left,
        clock=clocks.monotonic,
        quiet_s=settings.READY_PROBE_AFTER_S,
    )
    client.call_log.observe(watch.observe_call)
    return watch


def build_told_records(clocks: Clocks) -> ToldRecords:
    """Without a secret webhooks are refused, but in development: then nobody tells us anything."""
    is_told = settings.DEBUG or len(settings.HUBSPOT_WEBHOOK_SECRETS) > 0
    lag = timedelta(seconds=settings.HUBSPOT.search_lag_s if is_told else 0)
    return ToldRecords(lag, clocks.now, clocks.monotonic)


def build_cached_portal(
    profile: PortalProfile,
    client: HubSpotClient,
    hubspot: PortalReads,
    config: CacheConfig,
    clocks: Clocks = REAL_TIME,
    recent: RecentChanges = NO_RECENT_CHANGES,
) -> CachedPortal:
    def compose(reads_for: ReadsFor) -> ComposedFamilyLoaders:
        return ComposedLoaders(
            profile=profile,
            config=config,
            fan_out_for=client.fan_out_for,
            now=clocks.now,
            reads_for=reads_for,
            cursor_seal=build_cursor_seal(),
        ).family_loaders()

    return CachedPortal(
        profile=profile,
        hubspot=hubspot,
        config=config,
        compose=compose,
        load_s=settings.HUBSPOT.request_deadline_s,
        recent=recent,
        clock=clocks.monotonic,
    )


def build_student_pairs(cached: CachedPortal, hubspot: PortalReads, clocks: Clocks) -> StudentPairs:
    digests = Digests(settings.SECRET_KEY)
    return StudentPairs(
        PairReads(cached.cache, cached.families, hubspot, clocks.monotonic),
        digests,
        RightPairs(digests, clocks.now),
        LookUps(int(settings.SERVER_THREADS * LOOK_UPS_SHARE), time.monotonic),
    )


def build_cursor_seal() -> CursorSeal:
    return CursorSeal.of_secrets([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])


def build_desk_context(
    profile: PortalProfile,
    client: HubSpotClient,
    hubspot: PortalReads,
    evidence: AuthoritativeReads,
    cached: CachedPortal,
    clocks: Clocks,
    notify: DeskObserver,
) -> DeskContext:
    association_types = AssociationTypes(profile, client.transport)
    return DeskContext(
        profile=profile,
        hubspot=hubspot,
        evidence=evidence,
        writes=PortalWrites(profile, client.batch, association_types),
        cache=cached.cache,
        fan_out=client.fan_outs[Priority.PEOPLE],
        config=settings.DESK,
        now=clocks.now,
        notify=notify,
    )


_composition = Composition()
services = _composition.services
command_services = _composition.command_services
observe_calls = _composition.observe_calls
observe_webhooks = _composition.observe_webhooks
observe_desk = _composition.observe_desk
observe_unreadable = _composition.observe_unreadable
close = _composition.close


def use_clocks(clocks: Clocks) -> None:
    """Let this process go by other clocks; what was built by the old ones is closed."""
    _composition.close()
    _composition.clocks = clocks


def query_context(context: CallContext, subject: str | None = None) -> QueryContext:
    """Return what the queries of one request ask with; `subject` is the student the request is
    for, by whom the rollout of the cache chooses."""
    built = services()
    return QueryContext(
        profile=built.profile,
        reads=built.cached.reads(subject),
        fan_out=built.client.fan_out_for(context),
        now=built.clocks.now(),
        call=context,
        cursor_seal=built.cursor_seal,
    )


def cache_host() -> CacheHost:
    """Return what the cache's page, command and API work on."""
    built = services()
    return CacheHost(
        cache=built.cached.cache,
        subjects={
            "student": tags_of_student,
            "exam": partial(tags_of_exam, profile=built.profile),
        },
        load_context=validation_context,
        self_test=partial(self_test_cache, built),
    )


def validation_context() -> LoadContext:
    """Return the context of loads that compare the cache with HubSpot, at their leisure."""
    deadline = Deadline.after(MAX_VALIDATION_S)
    return LoadContext(
        call=CallContext(deadline=deadline, priority=Priority.BACKGROUND), fresh=True
    )


def self_test_cache(built: Services) -> tuple[SelfTestCheck, ...]:
    """Try the configured kind of cache against HubSpot; raise TruthUnavailable."""
    return run_self_test(
        Trial(
            profile=built.profile,
            batch=built.client.batch,
            config=settings.CACHE,
            open_portal=partial(build_cached_portal, built.profile, built.client, built.hubspot),
            context=CallContext(deadline=Deadline.after(MAX_SELF_TEST_S)),
            mark=uuid.uuid4().hex,
            pause=threading.Event().wait,
        )
    )
