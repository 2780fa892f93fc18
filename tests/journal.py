"""A change journal in memory, in HubSpot's words, for those who follow it; and a feed upon it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from booking_api import composition
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper
from cache_layer import FreshnessReport
from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import HubSpotError, OffsetGone
from hubspot_sync.feed.change_feed import ChangeFeed, build_change_feed
from hubspot_sync.feed.delays import OwnWrites
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import FeedHappening, FeedObservers
from hubspot_sync.feed.proof import Coverage
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile, SignedAddress

Raw = dict[str, Any]

PORTAL_ID = "62515"
LEASE_FOR = timedelta(seconds=60)
CONFIG = JournalConfig(client_id="app", client_secret="s", portal_id=PORTAL_ID)


@dataclass(slots=True)
class MemoryJournal:
    """Entries in their order. `failures` are raised by the next calls; `broken` are raised for the
    files of these offsets; what is `forgotten` is an unknown offset."""

    entries: list[JournalFile] = field(default_factory=list)
    failures: list[HubSpotError] = field(default_factory=list)
    broken: dict[str, HubSpotError] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    numbers: Any = field(default_factory=itertools.count)

    def publish(self, *events: Raw, unreadable: int = 0) -> str:
        """Add an entry with these events; return its offset."""
        offset = f"00000000-0000-4000-8000-{next(self.numbers):012d}"
        file = JournalFile(
            offset=offset,
            published_at=datetime.now(UTC),
            events=tuple(events),
            unreadable=unreadable,
        )
        self.entries.append(file)
        return offset

    def expire(self) -> None:
        """Forget all that there is, as after three days."""
        self.forgotten |= {entry.offset for entry in self.entries}
        self.entries.clear()

    def read_earliest(self, _: Deadline) -> JournalEntry | None:
        self._called("earliest")
        return _entry(self.entries[0]) if self.entries else None

    def read_latest(self, _: Deadline) -> JournalEntry | None:
        self._called("latest")
        return _entry(self.entries[-1]) if self.entries else None

    def read_next(self, offset: str, _: Deadline) -> JournalEntry | None:
        self._called("next")
        later = self._after(offset)
        return _entry(later[0]) if later else None

    def read_batch_next(self, offset: str, count: int, _: Deadline) -> tuple[JournalEntry, ...]:
        self._called("batch")
        return tuple(_entry(file) for file in self._after(offset)[:count])

    def fetch_file(self, entry: JournalEntry, _: Deadline) -> JournalFile:
        if entry.offset in self.broken:
            raise self.broken[entry.offset]
        return next(file for file in self.entries if file.offset == entry.offset)

    def _after(self, offset: str) -> list[JournalFile]:
        offsets = [file.offset for file in self.entries]
        if offset not in offsets:
            raise OffsetGone("gone", status=404)
        return self.entries[offsets.index(offset) + 1 :]

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.before_answer()
        if self.failures:
            raise self.failures.pop(0)


def _entry(file: JournalFile) -> JournalEntry:
    return JournalEntry(
        offset=file.offset, address=SignedAddress("https://files.test/x"), expires_at=None
    )


@dataclass(frozen=True, slots=True)
class JournalEvents:
    """Events as the journal tells them."""

    profile: PortalProfile

    def record(self, action: str, type_name: str, record_id: str, **fields: Any) -> Raw:
        return {
            "type": "crmObject",
            "portalId": int(PORTAL_ID),
            "occurredAt": datetime.now(UTC).isoformat(),
            "action": action,
            "objectTypeId": getattr(self.profile.object_types, type_name),
            "objectId": int(record_id),
            **fields,
        }

    def changed(self, type_name: str, record_id: str, **values: str | None) -> Raw:
        """A change of properties, by our names of them where we have such."""
        named = {
            "bookings": self.profile.booking_properties,
            "mock_exams": self.profile.exam_properties,
            "contacts": self.profile.contact_properties,
            "enrollments": self.profile.enrollment_properties,
        }[type_name]
        changes = {named.get(name, name): value for name, value in values.items()}
        return self.record("UPDATE", type_name, record_id, propertyChanges=changes)

    def link(
        self, one: tuple[str, str], other: tuple[str, str], action: str = "ASSOCIATION_ADDED"
    ) -> Raw:
        types = self.profile.object_types
        return {
            "type": "association",
            "portalId": int(PORTAL_ID),
            "occurredAt": datetime.now(UTC).isoformat(),
            "action": action,
            "fromObjectTypeId": getattr(types, one[0]),
            "fromObjectId": int(one[1]),
            "toObjectTypeId": getattr(types, other[0]),
            "toObjectId": int(other[1]),
            "associationTypeId": 1,
            "associationCategory": "USER_DEFINED",
            "isPrimary": False,
        }


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s

    def move(self, seconds: float) -> None:
        self.now_s += seconds


def proof() -> FreshnessReport:
    """The cache's proof as it stands."""
    return composition.services().cached.cache.freshness.describe()


def position() -> FeedPosition:
    return FeedPosition.objects.get()


@dataclass(slots=True)
class Follower:
    """A feed upon a journal in memory, beside the API's own services, and its lease."""

    journal: MemoryJournal
    feed: ChangeFeed
    lease: HeldLease
    happened: list[tuple[FeedHappening, int]]
    delays: list[float]
    coverage: list[Coverage | HubSpotError]

    def step(self) -> float:
        return self.feed.reader.step(self.lease)

    def catch_up(self) -> None:
        """Step until the journal has no more, at most so often that it must have had none."""
        for _ in range(50):
            if self.step() > 0:
                return
        raise AssertionError("The feed does not come to the journal's end.")

    def count(self, happening: FeedHappening) -> int:
        return sum(number for each, number in self.happened if each is happening)


def follow(
    journal: MemoryJournal | None = None,
    *,
    families: frozenset[str] | None = None,
    now: Callable[[], datetime] = timezone.now,
    clock: Callable[[], float] = time.monotonic,
    lease: HeldLease | None = None,
    is_proving: bool = True,
    max_delay_s: float = 60.0,
    event_observers: EventObservers | None = None,
    config: JournalConfig = CONFIG,
) -> Follower:
    """Return a follower that has done nothing yet; all families that can be are covered."""
    built = composition.services()
    journal = MemoryJournal() if journal is None else journal
    if families is None:
        families = frozenset(family.name for family in built.cached.cache.catalogue)
    coverage: list[Coverage | HubSpotError] = [Coverage(mark="first", families=families)]
    happened: list[tuple[FeedHappening, int]] = []
    delays: list[float] = []

    def ask_coverage(_: Deadline) -> Coverage:
        said = coverage[-1]
        if isinstance(said, HubSpotError):
            raise said
        return said

    observers = FeedObservers(
        [lambda what, number: happened.append((what, number))], [delays.append]
    )
    feed = build_change_feed(
        config,
        journal=journal,
        profile=built.profile,
        cached=built.cached,
        told=built.webhooks.told,
        event_observers=event_observers or EventObservers(),
        observers=observers,
        ask_coverage=ask_coverage,
        wake_applier=lambda: None,
        own_writes=OwnWrites(max_delay_s, observers, now),
        is_proving=is_proving,
        run_aside=lambda work: work(),
        now=now,
        clock=clock,
    )
    held = lease if lease is not None else LeaseKeeper("feed", LEASE_FOR).acquire()
    assert held is not None
    return Follower(journal, feed, held, happened, delays, coverage)
