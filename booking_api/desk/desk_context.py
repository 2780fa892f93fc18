"""What the desk works with, put together once per process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from booking_api.desk.config import DeskConfig
from booking_api.desk.events import DeskObserver, ignore_event
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseHandedOn
from booking_api.desk.journal.lease_renewal import LeaseRenewal
from booking_api.desk.journal.models import JournalEntry
from cache_layer import Cache, Cause
from hubspot_sync.errors import RateLimited
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.recent_changes import RecentChanges
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.linked_bookings import LinkedBookingReads
from hubspot_sync.writing.portal_writes import PortalWrites


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskContext:
    """`hubspot` reads HubSpot itself, never the cache; `recent` says what HubSpot told of
    lately; `keep_links` keeps for readers what the journal knows of these contacts, exams and
    bookings; `guess_exams` says of some bookings which exams they may be of, and asks HubSpot
    nothing; `await_room` returns once HubSpot takes the calls of a group, or raises
    RateLimited, and at once after `end_waits_for_room`; `now` is the clock that all processes of
    the deployment share, aware; `notify` hears of what was done."""

    profile: PortalProfile
    hubspot: PortalReads
    recent: RecentChanges
    evidence: AuthoritativeReads
    linked: LinkedBookingReads
    writes: PortalWrites
    cache: Cache
    keep_links: Callable[[Collection[str], Collection[str], Collection[str]], None]
    guess_exams: Callable[[Collection[str]], Mapping[str, Collection[str]]]
    fan_out: FanOut
    config: DeskConfig
    renewal: LeaseRenewal
    now: Callable[[], datetime]
    await_room: Callable[[Deadline], None]
    end_waits_for_room: Callable[[], None]
    notify: DeskObserver = ignore_event

    def renew_for_calls(self, lease: HeldLease, meters: Collection[CallMeter] = ()) -> CallContext:
        """Renew the lease and return the context of the next step of calls, which end before
        anybody else writes; raises LeaseLost. To be called right before each step: a renewal made
        earlier may have run out."""
        deadline = self.renewal.begin_step(lease, self.config.max_step_s)
        # What nobody here waits for, the desk asks for itself.
        who = tuple(meters) if len(meters) > 0 else (CallMeter("desk"),)
        return CallContext(deadline=deadline, priority=Priority.DESK, meters=who)

    def await_room_for_group(self, lease: HeldLease) -> None:
        """Return once HubSpot takes the calls of one more group, before it is read: whoever comes
        meanwhile goes with it. Raises RateLimited where a step would not last that long, and
        LeaseLost."""
        try:
            self.await_room(Deadline.after(0.0))  # mostly there is, and nothing is to be renewed
        except RateLimited:
            self.await_room(self.renew_for_calls(lease).deadline)

    def renew_for_writes(
        self,
        lease: HeldLease,
        rows: Sequence[JournalEntry],
        meters: Collection[CallMeter] = (),
    ) -> CallContext:
        """As `renew_for_calls`, for a step that writes what these saved rows have planned. A desk
        that ends before it says of them that nothing is on its way: the next one need not wait."""
        try:
            return self.renew_for_calls(lease, meters)
        except LeaseHandedOn:
            for row in rows:
                row.in_doubt_since = None
            with lease.fenced_transaction():
                journal.save(lease, rows, self.now())
            raise

    def is_in_doubt(self, since: datetime | None) -> bool:
        """Whether a write that was not answered, `since` then, may still take effect."""
        return since is not None and self.now() < since + self.config.late_write

    def invalidate_cache(self, tags: Collection[str]) -> None:
        """Let no reader see any more what was built from records with these tags."""
        self.cache.guarded_store.invalidate(tags, (), cause=Cause.WRITE)
