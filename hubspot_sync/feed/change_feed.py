"""The parts of the feed, joined; made once per process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cache_layer import Cause
from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.delays import OwnWrites
from hubspot_sync.feed.files import FILES_AT_ONCE, Journal
from hubspot_sync.feed.observers import FeedObservers
from hubspot_sync.feed.positions import Positions
from hubspot_sync.feed.proof import AskCoverage, FeedProof, RunAside, run_in_thread
from hubspot_sync.feed.reader import FeedReader
from hubspot_sync.feed.replay import Replay
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.intake import Intake
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.fan_out import FanOut


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeFeed:
    """`reader` follows the journal when its lease's holder has it take a step, `replay` applies
    again what it has told; `own_writes` is told of the bookings that we make."""

    reader: FeedReader
    replay: Replay
    positions: Positions
    own_writes: OwnWrites
    observers: FeedObservers
    fan_out: FanOut

    def close(self) -> None:
        self.fan_out.close()


def build_change_feed(
    config: JournalConfig,
    *,
    journal: Journal,
    profile: PortalProfile,
    cached: CachedPortal,
    told: ToldRecords,
    event_observers: EventObservers,
    observers: FeedObservers,
    ask_coverage: AskCoverage,
    wake_applier: Callable[[], None],
    own_writes: OwnWrites,
    is_proving: bool,
    now: Callable[[], datetime],
    clock: Monotonic,
    run_aside: RunAside = run_in_thread,
) -> ChangeFeed:
    """Return the feed of the configured portal; nothing is started or asked. `now` is the clock
    that all processes share; `is_proving` says whether entries may outlive their time to live."""
    inbox = Inbox(now)
    positions = Positions(config, now)
    fan_out = FanOut(FILES_AT_ONCE - 1)
    proof = FeedProof(
        cache=cached.cache,
        inbox=inbox,
        positions=positions,
        ask_coverage=ask_coverage,
        is_late=own_writes.is_late,
        observers=observers,
        is_on=is_proving,
        run_aside=run_aside,
        now=now,
        clock=clock,
    )
    intake = Intake(
        profile=profile,
        cached=cached,
        observers=event_observers,
        told=told,
        now=now,
        source=WebhookEvent.Source.JOURNAL,
        cause=Cause.FEED,
    )
    reader = FeedReader(
        journal=journal,
        portal_id=config.portal_id,
        profile=profile,
        intake=intake,
        inbox=inbox,
        positions=positions,
        proof=proof,
        own_writes=own_writes,
        fan_out=fan_out,
        observers=observers,
        wake_applier=wake_applier,
        now=now,
        clock=clock,
    )
    return ChangeFeed(
        reader=reader,
        replay=Replay(
            journal=journal,
            portal_id=config.portal_id,
            profile=profile,
            intake=intake,
            inbox=inbox,
            fan_out=fan_out,
            pause=threading.Event().wait,
        ),
        positions=positions,
        own_writes=own_writes,
        observers=observers,
        fan_out=fan_out,
    )
