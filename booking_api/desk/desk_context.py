"""What the desk works with, put together once per process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from booking_api.desk.config import DeskConfig
from booking_api.desk.events import DeskObserver, nobody
from booking_api.desk.journal.lease import HeldLease
from cache_layer import Cache, Cause
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.portal_writes import PortalWrites


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskContext:
    """`hubspot` reads HubSpot itself, never the cache; `now` is the wall clock, aware; `tell` hears
    of what was done."""

    profile: PortalProfile
    hubspot: PortalReads
    evidence: AuthoritativeReads
    writes: PortalWrites
    cache: Cache
    fan_out: FanOut
    config: DeskConfig
    now: Callable[[], datetime]
    tell: DeskObserver = nobody

    def step(
        self,
        held: HeldLease,
        meters: Collection[CallMeter] = (),
        priority: Priority = Priority.PEOPLE,
    ) -> CallContext:
        """Renew the lease and return the context of the next calls, which end while it lasts;
        raises LeaseLost. Right before each write: what is checked earlier may be over."""
        deadline = Deadline.after(self.config.step_s)
        held.renew()
        return CallContext(deadline=deadline, priority=priority, meters=tuple(meters))

    def forget(self, tags: Collection[str]) -> None:
        """Let no reader see what was built from these any more."""
        self.cache.guarded_store.invalidate(tags, (), cause=Cause.WRITE)
