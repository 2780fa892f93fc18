"""What the cache did: counters by family and minute, and an immutable picture of them.

Counts are this process's own since it started; the last hour is kept by the minute so that it can
be drawn. Keys never appear here, so no e-mail does.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

MINUTES_KEPT = 60
MINUTE = timedelta(minutes=1)
NOTHING = timedelta(0)


class Count(StrEnum):
    """What is counted, in entries unless said otherwise."""

    HITS = "hits"
    PROVEN_HITS = "proven_hits"  # of the hits, those past their time to live
    AHEAD_HITS = "ahead_hits"  # of the hits, those of entries that were loaded ahead of readers
    MISSES = "misses"  # detail: why
    LOADS = "loads"  # detail: the outcome
    SHARED_LOADS = "shared_loads"  # misses that waited for another reader's load
    BYPASSES = "bypasses"  # read from the loader, the cache not asked
    STORES = "stores"
    AHEAD_STORES = "ahead_stores"  # of the stores, those of loads ahead of readers
    BYTES_STORED = "bytes_stored"  # in bytes
    REFUSED_STORES = "refused_stores"  # detail: why
    EVICTIONS = "evictions"  # detail: for which bound
    EXPIRATIONS = "expirations"
    UNREADABLE = "unreadable"  # found at a look, and no value to this process; detail: why
    INVALIDATIONS = "invalidations"  # requests, not entries; no family; detail: the cause
    REMOVALS = "removals"  # entries those requests removed; detail: the cause
    ERRORS = "errors"  # detail: what failed
    VALIDATIONS = "validations"  # runs, not entries; no family; detail: the outcome
    DRIFTS = "drifts"  # entries that validation found to differ from the truth


class Bound(StrEnum):
    """For which bound of the cache an entry had to go."""

    ENTRIES = "entries"
    BYTES = "bytes"


class LoadOutcome(StrEnum):
    """What became of one key of a load."""

    LOADED = "loaded"
    ABSENT = "absent"
    FAILED = "failed"


class ValidationOutcome(StrEnum):
    """What a comparison with the truth came to."""

    CLEAN = "clean"
    DRIFTED = "drifted"
    INCOMPLETE = "incomplete"  # the truth did not answer for all
    FAILED = "failed"


class Cause(StrEnum):
    """Why entries were removed."""

    WRITE = "write"
    WEBHOOK = "webhook"
    FORCED = "forced"
    VALIDATION = "validation"
    UNREADABLE = "unreadable"
    FEED = "feed"


class Tally(NamedTuple):
    """One counter: what is counted, in which family (empty: none), with which detail."""

    counted: Count
    family: str = ""
    detail: str = ""


# Counted several times a read, and always the same few.
_tally = lru_cache(maxsize=1024)(Tally)

Tallies = Mapping[Tally, int]
Counted = Sequence[tuple[Tally, int]]
TallyObserver = Callable[[Counted], None]


@dataclass(frozen=True, slots=True)
class Minute:
    at: datetime
    tallies: Tallies


@dataclass(frozen=True, slots=True)
class CountersSnapshot:
    """The counters at one moment; later counting does not change it."""

    since: datetime
    totals: Tallies
    minutes: tuple[Minute, ...]

    def total(self, count: Count, family: str | None = None) -> int:
        return sum(
            number
            for tally, number in self.totals.items()
            if tally.counted is count and family in (None, tally.family)
        )

    def by_family(self, count: Count) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for tally, number in self.totals.items():
            if tally.counted is count:
                found[tally.family] += number
        return MappingProxyType(found)

    def by_detail(self, count: Count, family: str | None = None) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for tally, number in self.totals.items():
            if tally.counted is count and family in (None, tally.family):
                found[tally.detail] += number
        return MappingProxyType(found)

    def hit_rate(self, family: str | None = None) -> float | None:
        """Return hits as a share of look-ups, or None before the first."""
        hits = self.total(Count.HITS, family)
        looked_up = hits + self.total(Count.MISSES, family)
        return hits / looked_up if looked_up > 0 else None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Counters:
    """The counters; safe to share between threads."""

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._totals: Counter[Tally] = Counter()
        self._minutes: deque[tuple[datetime, Counter[Tally]]] = deque(maxlen=MINUTES_KEPT)
        self._observers: list[TallyObserver] = []

    def observe(self, observer: TallyObserver) -> None:
        """Tell `observer` of everything that is counted, together what is counted at once; it must
        be quick."""
        self._observers.append(observer)

    def add(self, count: Count, family: str = "", number: int = 1, detail: str = "") -> None:
        if number != 0:
            self._add_all([(_tally(count, family, str(detail)), number)])

    def add_by_family(self, count: Count, by_family: Mapping[str, int], detail: str = "") -> None:
        """Add to several at once."""
        if len(by_family) > 0:
            self.add_all({count: by_family}, detail)

    def add_all(self, counted: Mapping[Count, Mapping[str, int]], detail: str = "") -> None:
        """Add to several of several counts at once, each by its family."""
        self._add_all(
            [
                (_tally(count, family, str(detail)), number)
                for count, by_family in counted.items()
                for family, number in by_family.items()
                if number != 0
            ]
        )

    def _add_all(self, tallies: Counted) -> None:
        if len(tallies) == 0:
            return
        now = self._clock()
        with self._lock:
            if not self._minutes or not NOTHING <= now - self._minutes[-1][0] < MINUTE:
                self._minutes.append((now.replace(second=0, microsecond=0), Counter()))
            totals, of_minute = self._totals, self._minutes[-1][1]
            for tally, number in tallies:
                totals[tally] += number
                of_minute[tally] += number
        for observer in self._observers:
            observer(tallies)

    def snapshot(self) -> CountersSnapshot:
        """Return the counters now, with the minutes of the last hour in which anything happened."""
        now = self._clock()
        with self._lock:
            minutes = tuple(
                Minute(at, MappingProxyType(dict(tallies)))
                for at, tallies in self._minutes
                if (now - at).total_seconds() < MINUTES_KEPT * 60
            )
            return CountersSnapshot(self._since, MappingProxyType(dict(self._totals)), minutes)
