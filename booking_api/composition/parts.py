"""How each part of a process is built from the settings and the parts below it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from booking_api.desk.config import MAX_CALLS_OF_GROUP
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.events import DeskObserver
from booking_api.desk.journal.lease_renewal import LeaseRenewal
from booking_api.desk.journal.own_links import JournalLinks
from booking_api.pairs.digests import Digests
from booking_api.pairs.look_ups import LookUps
from booking_api.pairs.right_pairs import RightPairs
from booking_api.pairs.seen_students import SeenStudents
from booking_api.pairs.student_pairs import StudentPairs
from booking_api.queries.composed_loaders import ComposedLoaders
from booking_api.queries.likely_ids import LikelyExams
from booking_api.rules.cursors import CursorSeal
from cache_layer import MISS, BackendUnavailable, CacheConfig, UndeliveredParts
from cache_layer.coherence.undelivered_rows import UndeliveredRows
from cache_layer.config import MAX_TTL_S
from hubspot_sync import HubSpotClient
from hubspot_sync.background.database_clock import DatabaseClock
from hubspot_sync.background.database_questions import DatabaseQuestions
from hubspot_sync.background.worker import Worker
from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.change_feed import ChangeFeed, build_change_feed
from hubspot_sync.feed.coverage import SubscriptionCoverage
from hubspot_sync.feed.delays import OwnWrites
from hubspot_sync.feed.observers import FeedObservers
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.association_types import AssociationTypes
from hubspot_sync.portal.portal_facts import PortalFact, ask_own_app_id, ask_own_portal_id
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.unreadable_values import NoteReading
from hubspot_sync.reading.availability import AvailabilityWatch, probe_hubspot
from hubspot_sync.reading.cache_families import ComposedFamilyLoaders
from hubspot_sync.reading.cached_portal import CachedPortal, ReadsFor
from hubspot_sync.reading.own_links import NO_OWN_LINKS, OwnLinks
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.recent_changes import NO_RECENT_CHANGES, RecentChanges
from hubspot_sync.reading.student_pairs import PairReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.journal.change_journal import build_change_journal, build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions
from hubspot_sync.wire.limits.rate_windows import cut
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.linked_bookings import LinkedBookingReads
from hubspot_sync.writing.portal_writes import NoteCreated, PortalWrites

# Of the server's threads: the others are left for students who are known.
LOOK_UPS_SHARE = 0.75


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """The time a process goes by: what is now, and what cached entries age by."""

    now: Callable[[], datetime] = timezone.now
    monotonic: Monotonic = time.monotonic


REAL_TIME = Clocks()


def build_shared_clock(clocks: Clocks) -> Callable[[], datetime]:
    """Return the time that goes into rows, and is compared with what others wrote there."""
    return DatabaseClock(clocks.now).now if clocks is REAL_TIME else clocks.now


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


def build_told_records(shared_now: Callable[[], datetime], monotonic: Monotonic) -> ToldRecords:
    """Without a secret webhooks are refused, but in development: then nobody tells us anything,
    but where the change journal is followed."""
    has_secret = settings.DEBUG or len(settings.HUBSPOT_WEBHOOK_SECRETS) > 0
    is_told = has_secret or settings.HUBSPOT_JOURNAL.is_set
    lag = timedelta(seconds=settings.HUBSPOT.search_lag_s if is_told else 0)
    return ToldRecords(lag, shared_now, monotonic)


def build_own_links(shared_now: Callable[[], datetime], monotonic: Monotonic) -> OwnLinks:
    return JournalLinks(DatabaseQuestions(monotonic), shared_now)


def build_cached_portal(
    profile: PortalProfile,
    client: HubSpotClient,
    hubspot: PortalReads,
    config: CacheConfig,
    clocks: Clocks = REAL_TIME,
    recent: RecentChanges = NO_RECENT_CHANGES,
    own: OwnLinks = NO_OWN_LINKS,
    *,
    likely: LikelyExams,
) -> CachedPortal:
    def compose(reads_for: ReadsFor) -> ComposedFamilyLoaders:
        return ComposedLoaders(
            profile=profile,
            config=config,
            fan_out_for=client.fan_out_for,
            now=clocks.now,
            reads_for=reads_for,
            cursor_seal=build_cursor_seal(),
            likely=likely,
        ).family_loaders()

    return CachedPortal(
        profile=profile,
        hubspot=hubspot,
        # What is loaded in the background is loaded before anybody asks for it.
        config=replace(config, ahead_rank=Priority.BACKGROUND),
        compose=compose,
        load_s=settings.HUBSPOT.request_deadline_s,
        recent=recent,
        own=own,
        clock=clocks.monotonic,
        undelivered=build_undelivered(config),
    )


def build_undelivered(config: CacheConfig) -> UndeliveredParts | None:
    """Return what processes tell each other of invalidations by, or None for a cache of our own."""
    if config.redis_url == "":
        return None
    table = UndeliveredRows(config.key_prefix, keep=timedelta(seconds=MAX_TTL_S))
    return UndeliveredParts(table=table, make_worker=Worker)


def build_own_writes(
    observers: FeedObservers, shared_now: Callable[[], datetime]
) -> OwnWrites | None:
    """Return what measures how late the change feed is; None where there is none."""
    if not settings.HUBSPOT_JOURNAL.is_set:
        return None
    return OwnWrites(settings.FEED_MAX_DELAY_S, observers, shared_now)


def build_feed(
    *,
    profile: PortalProfile,
    cached: CachedPortal,
    told: ToldRecords,
    event_observers: EventObservers,
    observers: FeedObservers,
    own_writes: OwnWrites,
    wake_applier: Callable[[], None],
    now: Callable[[], datetime],
    clock: Monotonic,
) -> ChangeFeed:
    config: JournalConfig = settings.HUBSPOT_JOURNAL
    calls = build_journal_calls(config, clock=clock)
    subscriptions = JournalSubscriptions(config, calls)
    return build_change_feed(
        config,
        journal=build_change_journal(config, calls),
        profile=profile,
        cached=cached,
        told=told,
        event_observers=event_observers,
        observers=observers,
        ask_coverage=SubscriptionCoverage(config, profile, subscriptions).ask,
        wake_applier=wake_applier,
        own_writes=own_writes,
        is_proving=settings.CACHE.ttl_confirmed_s > 0,
        now=now,
        clock=clock,
    )


def is_portal_of_journal(client: HubSpotClient, context: CallContext) -> bool:
    """Say whether the records that we read are of the portal whose journal we follow, as far as
    HubSpot says whose token ours is; raises HubSpotError where it could not be asked."""
    own = ask_own_portal_id(client.transport, settings.HUBSPOT.token, context)
    return own is None or own == settings.HUBSPOT_JOURNAL.portal_id


def build_student_pairs(cached: CachedPortal, hubspot: PortalReads, clocks: Clocks) -> StudentPairs:
    digests = Digests(settings.SECRET_KEY)
    return StudentPairs(
        PairReads(cached.cache, cached.families, hubspot, clocks.monotonic),
        digests,
        RightPairs(digests, clocks.now),
        LookUps(int(settings.SERVER_THREADS * LOOK_UPS_SHARE), time.monotonic),
    )


def build_seen_students(clocks: Clocks) -> SeenStudents:
    return SeenStudents(settings.WARM_STUDENT_DAYS, clocks.now)


def build_cursor_seal() -> CursorSeal:
    return CursorSeal.of_secrets([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])


def build_evidence(
    profile: PortalProfile,
    client: HubSpotClient,
    clocks: Clocks,
    has_marker: PortalFact[bool | None],
    note: NoteReading,
) -> AuthoritativeReads:
    ask = partial(ask_own_app_id, client.transport, settings.HUBSPOT.token)
    own_app = PortalFact[str | None](ask, otherwise=None, clock=clocks.monotonic)
    return AuthoritativeReads(profile, client.batch, own_app, has_marker, note)


def find_held_exams(
    cached: CachedPortal, booking_ids: Collection[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return the exams that the cache holds bookings to be of, of those it holds; HubSpot is not
    asked, and nothing comes of a cache that may not be read or does not answer. For guesses, not to
    decide by."""
    if cached.cache.reader.prepare_or_bypass(None) is not None:
        return {}
    family, guarded_store = cached.families.booking_exams, cached.cache.guarded_store
    keys = family.keys("booking_id", booking_ids)
    try:
        held = guarded_store.look_up(list(keys.values()), touch=False).entries
    except BackendUnavailable:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for booking_id, key in keys.items():
        if key.text not in held:
            continue
        exam_ids = guarded_store.read_entry(family, key, held[key.text])
        if exam_ids is not MISS:
            found[booking_id] = exam_ids
    return found


def build_desk_context(
    profile: PortalProfile,
    client: HubSpotClient,
    hubspot: PortalReads,
    recent: RecentChanges,
    evidence: AuthoritativeReads,
    linked: LinkedBookingReads,
    has_marker: PortalFact[bool | None],
    cached: CachedPortal,
    shared_now: Callable[[], datetime],
    notify: DeskObserver,
    note_created: NoteCreated,
) -> DeskContext:
    association_types = AssociationTypes(profile, client.transport)
    return DeskContext(
        profile=profile,
        hubspot=hubspot,
        recent=recent,
        evidence=evidence,
        linked=linked,
        writes=PortalWrites(profile, client.batch, association_types, has_marker, note_created),
        cache=cached.cache,
        keep_links=cached.keep_own_links,
        guess_exams=partial(find_held_exams, cached),
        fan_out=client.fan_outs[Priority.DESK],
        config=settings.DESK,
        renewal=LeaseRenewal(settings.DESK.renew_every_s),
        now=shared_now,
        await_room=partial(
            client.rate_budget.await_room, count_room_of_group(), priority=Priority.DESK
        ),
        end_waits_for_room=client.rate_budget.end_waits_for_room,
        notify=notify,
    )


def count_room_of_group() -> int:
    """Return for how many calls there is to be room before a group is begun: half of what readers
    leave the desk at most. Other processes' readers, and writers who have not proved who they are,
    do not know that it waits, and may keep it from more."""
    hubspot = settings.HUBSPOT
    return min(MAX_CALLS_OF_GROUP, cut(hubspot.requests_per_window, hubspot.desk_share / 2))
