"""What the desk works with, put together once per process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from booking_api.desk.config import DeskConfig
from booking_api.desk.events import DeskObserver, ignore_event
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.lease_renewal import LeaseRenewal
from cache_layer import Cache, Cause
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.portal_writes import PortalWrites


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskContext:
    """`hubspot` reads HubSpot itself, never the cache; `keep_links` keeps for readers what the
    journal knows of these contacts, exams and bookings; `now` is the clock that all processes of
    the deployment share, aware; `notify` hears of what was done."""

    profile: PortalProfile
    hubspot: PortalReads
    evidence: AuthoritativeReads
    writes: PortalWrites
    cache: Cache
    keep_links: Callable[[Collection[str], Collection[str], Collection[str]], None]
    fan_out: FanOut
    config: DeskConfig
    renewal: LeaseRenewal
    now: Callable[[], datetime]
    notify: DeskObserver = ignore_event

    def renew_for_calls(self, lease: HeldLease, meters: Collection[CallMeter] = ()) -> CallContext:
        """Renew the lease and return the context of the next step of calls, which end before
        anybody else writes; raises LeaseLost. To be called right before each step: a renewal made
        earlier may have run out."""
        deadline = self.renewal.begin_step(lease, self.config.max_step_s)
        return CallContext(deadline=deadline, priority=Priority.PEOPLE, meters=tuple(meters))

    def invalidate_cache(self, tags: Collection[str]) -> None:
        """Let no reader see any more what was built from records with these tags."""
        self.cache.guarded_store.invalidate(tags, (), cause=Cause.WRITE)
