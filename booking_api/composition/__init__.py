"""Puts the parts together, once per process, on first use.

Whoever serves a request asks here for what it needs; nobody below knows how it was built. A process
that was forked builds its own: sockets and threads do not survive a fork.
"""

from __future__ import annotations

import threading
import uuid
from functools import partial

from django.conf import settings

from booking_api.composition.parts import REAL_TIME, Clocks, build_cached_portal
from booking_api.composition.process_services import Composition, Services
from booking_api.queries.likely_ids import LikelyExams
from booking_api.queries.query_context import QueryContext
from cache_layer import CacheStatus
from cache_layer.operating.host import CacheHost, SelfTestCheck
from hubspot_sync.reading.cache_self_test import Trial, run_self_test
from hubspot_sync.reading.entry_sources import DirectSource, LoadContext
from hubspot_sync.reading.tags import tags_of_exam, tags_of_student
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.http_exchange import Sender

__all__ = [
    "REAL_TIME",
    "Clocks",
    "Composition",
    "Services",
    "build_cached_portal",
    "built_services",
    "cache_host",
    "close",
    "command_services",
    "fresh_query_context",
    "hand_on",
    "observe_cache",
    "observe_calls",
    "observe_desk",
    "observe_feed",
    "observe_unreadable",
    "observe_webhooks",
    "observe_wire",
    "query_context",
    "services",
    "use_clocks",
    "use_sender",
]

# Comparing every entry of a full cache may take this long at the background's share of the budget.
MAX_VALIDATION_S = 3600.0
MAX_SELF_TEST_S = 120.0
_composition = Composition()
services = _composition.services
command_services = _composition.command_services
built_services = _composition.built_services
observe_cache = _composition.observe_cache
observe_calls = _composition.observe_calls
observe_wire = _composition.observe_wire
observe_webhooks = _composition.observe_webhooks
observe_desk = _composition.observe_desk
observe_feed = _composition.observe_feed
observe_unreadable = _composition.observe_unreadable
hand_on = _composition.hand_on
close = _composition.close


def use_clocks(clocks: Clocks) -> None:
    """Let this process go by other clocks; what was built by the old ones is closed."""
    _composition.close()
    _composition.clocks = clocks


def use_sender(sender: Sender | None) -> None:
    """Let this process's calls to HubSpot go through a sender that watches them, None for the
    client's own; what was built with another is closed."""
    _composition.close()
    _composition.sender = sender


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
        likely=built.likely,
    )


def fresh_query_context(context: CallContext) -> QueryContext:
    """Return what is asked with that a write is to rest on: HubSpot itself, never the cache."""
    built = services()
    source = DirectSource(CacheStatus.BYPASS)
    load = LoadContext(call=context, direct=source)
    return QueryContext(
        profile=built.profile,
        reads=built.cached.reads_for(load, 0.0),
        fan_out=built.client.fan_out_for(context),
        now=built.clocks.now(),
        call=context,
        cursor_seal=built.cursor_seal,
        likely=built.likely,
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
        subject_pages={"exam": ("admin:booking_api_exam", "booking_api.view_exams")},
    )


def validation_context() -> LoadContext:
    """Return the context of loads that compare the cache with HubSpot, at their leisure."""
    deadline = Deadline.after(MAX_VALIDATION_S)
    return LoadContext(
        call=CallContext(
            deadline=deadline, priority=Priority.BACKGROUND, meters=(CallMeter("validation"),)
        ),
        fresh=True,
    )


def self_test_cache(built: Services) -> tuple[SelfTestCheck, ...]:
    """Try the configured kind of cache against HubSpot; raise TruthUnavailable."""
    return run_self_test(
        Trial(
            profile=built.profile,
            batch=built.client.batch,
            config=settings.CACHE,
            open_portal=partial(
                build_cached_portal,
                built.profile,
                built.client,
                built.hubspot,
                likely=LikelyExams(),
            ),
            context=CallContext(
                deadline=Deadline.after(MAX_SELF_TEST_S), meters=(CallMeter("validation"),)
            ),
            mark=uuid.uuid4().hex,
            pause=threading.Event().wait,
        )
    )
