"""The cache in numbers, as the page and the API show them, taken at one moment.

What is held is asked of the backend, which all processes may share; what happened is counted by
this process since it started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cache_layer.backends.base import Size
from cache_layer.cache import Cache
from cache_layer.counters import MINUTES_KEPT, Count, CountersSnapshot, Minute
from cache_layer.errors import BackendUnavailable


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyReport:
    """One family: entries and bytes held now, counts since the start, and the last hour's rate."""

    name: str
    entries: int
    payload_bytes: int
    counts: Mapping[Count, int]
    hit_rate: float | None
    hour_hit_rate: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MinuteReport:
    """A minute of the last hour."""

    at: datetime
    hits: int
    misses: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheReport:
    """The whole cache. `available` says whether the backend could be asked what it holds;
    `delivered` whether it has heard of every invalidation. Rates are from 0 to 1, None before the
    first look-up."""

    enabled: bool
    backend: str
    shared: bool
    available: bool
    delivered: bool
    rollout_percentage: float
    max_entries: int
    entries: int
    payload_bytes: int
    since: datetime
    counts: Mapping[Count, int]
    hit_rate: float | None
    hour_hit_rate: float | None
    families: tuple[FamilyReport, ...]
    minutes: tuple[MinuteReport, ...]
    refused: Mapping[str, int]
    invalidations: Mapping[str, int]
    errors: Mapping[str, int]


def report_of(cache: Cache, now: datetime) -> CacheReport:
    """Return the numbers now; a backend that does not answer has none, and says so."""
    try:
        size, available = cache.backend.size(), True
    except BackendUnavailable:
        size, available = Size(entries={}, payload_bytes={}), False
    seen = cache.stats.snapshot()
    return CacheReport(
        enabled=cache.config.enabled,
        backend=cache.backend.name,
        shared=cache.backend.shared,
        available=available,
        delivered=cache.writing.delivered,
        rollout_percentage=cache.config.rollout_percentage,
        max_entries=cache.backend.max_entries,
        entries=size.total_entries,
        payload_bytes=size.total_bytes,
        since=seen.since,
        counts={count: seen.total(count) for count in Count},
        hit_rate=seen.hit_rate(),
        hour_hit_rate=_hour_hit_rate(seen.minutes, None),
        families=tuple(_family(family.name, size, seen) for family in cache.catalogue),
        minutes=_last_hour(seen.minutes, now),
        refused=seen.by_detail(Count.REFUSED_STORES),
        invalidations=seen.by_detail(Count.INVALIDATIONS),
        errors=seen.by_detail(Count.ERRORS),
    )


def _family(name: str, size: Size, seen: CountersSnapshot) -> FamilyReport:
    return FamilyReport(
        name=name,
        entries=size.entries.get(name, 0),
        payload_bytes=size.payload_bytes.get(name, 0),
        counts={count: seen.total(count, name) for count in Count},
        hit_rate=seen.hit_rate(name),
        hour_hit_rate=_hour_hit_rate(seen.minutes, name),
    )


def _sums(minute: Minute, family: str | None) -> Counter[Count]:
    sums: Counter[Count] = Counter()
    for tally, number in minute.tallies.items():
        if family in (None, tally.family):
            sums[tally.count] += number
    return sums


def _hour_hit_rate(minutes: tuple[Minute, ...], family: str | None) -> float | None:
    sums: Counter[Count] = Counter()
    for minute in minutes:
        sums.update(_sums(minute, family))
    looked_up = sums[Count.HITS] + sums[Count.MISSES]
    return sums[Count.HITS] / looked_up if looked_up > 0 else None


def _last_hour(minutes: tuple[Minute, ...], now: datetime) -> tuple[MinuteReport, ...]:
    """Return each of the last sixty minutes, the quiet ones too."""
    known = {minute.at: _sums(minute, None) for minute in minutes}
    this_minute = now.replace(second=0, microsecond=0)
    all_minutes = [this_minute - timedelta(minutes=ago) for ago in range(MINUTES_KEPT)]
    return tuple(
        MinuteReport(at=at, hits=sums[Count.HITS], misses=sums[Count.MISSES])
        for at in reversed(all_minutes)
        for sums in [known.get(at, Counter())]
    )
