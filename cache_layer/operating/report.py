"""The cache in numbers, taken at one moment, and a validation as JSON: for the page, the API and
the command.

What is held is asked of the backend, which all processes may share; what happened is counted by
this process since it started. Nothing here holds an e-mail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cache_layer.backends.base import Size
from cache_layer.cache import Cache
from cache_layer.counters import MINUTES_KEPT, Count, CountersSnapshot, Minute
from cache_layer.entries.families import Family
from cache_layer.errors import BackendUnavailable
from cache_layer.operating.redaction import mask_emails
from cache_layer.operating.validation import DRIFTED, Comparison, ValidationReport

_VALIDATION_SUMS = ("sampled", "same", "drifted", "repaired", "skipped", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyReport:
    """One family: entries and bytes held now, counts since the start, and the last hour's rate.
    `first_word` is what its keys begin with."""

    name: str
    first_word: str
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
    """The whole cache. `available` says whether the backend could be asked what it holds,
    `all_delivered` whether it has heard of every invalidation. Rates are from 0 to 1, and None
    before the first look-up. `used_bytes` of at most `max_bytes` are the payloads and all that is
    kept about entries and invalidations; `evictions` are counted by the bound they were for, and by
    its reason what was found and is no value here."""

    enabled: bool
    backend: str
    shared: bool
    available: bool
    all_delivered: bool
    rollout_percentage: float
    max_entries: int
    max_bytes: int
    entries: int
    payload_bytes: int
    used_bytes: int
    since: datetime
    counts: Mapping[Count, int]
    hit_rate: float | None
    hour_hit_rate: float | None
    families: tuple[FamilyReport, ...]
    minutes: tuple[MinuteReport, ...]
    refused: Mapping[str, int]
    evictions: Mapping[str, int]
    unreadable: Mapping[str, int]
    invalidations: Mapping[str, int]
    errors: Mapping[str, int]


def build_report(cache: Cache, now: datetime) -> CacheReport:
    """Return the numbers now; a backend that does not answer has none, and says so."""
    try:
        size, available = cache.backend.size(), True
    except BackendUnavailable:
        size, available = Size(entries={}, payload_bytes={}), False
    snapshot = cache.counters.snapshot()
    return CacheReport(
        enabled=cache.config.enabled,
        backend=cache.backend.name,
        shared=cache.backend.shared,
        available=available,
        all_delivered=cache.guarded_store.all_delivered,
        rollout_percentage=cache.config.rollout_percentage,
        max_entries=cache.backend.max_entries,
        max_bytes=cache.config.max_bytes,
        entries=size.total_entries,
        payload_bytes=size.total_bytes,
        used_bytes=size.used_bytes,
        since=snapshot.since,
        counts={count: snapshot.total(count) for count in Count},
        hit_rate=snapshot.hit_rate(),
        hour_hit_rate=_compute_hit_rate(snapshot.minutes, None),
        families=tuple(_build_family(family, size, snapshot) for family in cache.catalogue),
        minutes=_build_minutes(snapshot.minutes, now),
        refused=snapshot.by_detail(Count.REFUSED_STORES),
        evictions=snapshot.by_detail(Count.EVICTIONS),
        unreadable=snapshot.by_detail(Count.UNREADABLE),
        invalidations=snapshot.by_detail(Count.INVALIDATIONS),
        errors=snapshot.by_detail(Count.ERRORS),
    )


def _build_family(family: Family[Any, Any], size: Size, snapshot: CountersSnapshot) -> FamilyReport:
    name = family.name
    return FamilyReport(
        name=name,
        first_word=family.first_word,
        entries=size.entries.get(name, 0),
        payload_bytes=size.payload_bytes.get(name, 0),
        counts={count: snapshot.total(count, name) for count in Count},
        hit_rate=snapshot.hit_rate(name),
        hour_hit_rate=_compute_hit_rate(snapshot.minutes, name),
    )


def _sum_counts(minute: Minute, family: str | None) -> Counter[Count]:
    sums: Counter[Count] = Counter()
    for tally, number in minute.tallies.items():
        if family in (None, tally.family):
            sums[tally.counted] += number
    return sums


def _compute_hit_rate(minutes: tuple[Minute, ...], family: str | None) -> float | None:
    sums: Counter[Count] = Counter()
    for minute in minutes:
        sums.update(_sum_counts(minute, family))
    looked_up = sums[Count.HITS] + sums[Count.MISSES]
    return sums[Count.HITS] / looked_up if looked_up > 0 else None


def _build_minutes(minutes: tuple[Minute, ...], now: datetime) -> tuple[MinuteReport, ...]:
    """Return each of the last sixty minutes, the quiet ones too."""
    sums_by_minute = {minute.at: _sum_counts(minute, None) for minute in minutes}
    this_minute = now.replace(second=0, microsecond=0)
    all_minutes = [this_minute - timedelta(minutes=ago) for ago in range(MINUTES_KEPT)]
    return tuple(
        MinuteReport(at=at, hits=sums[Count.HITS], misses=sums[Count.MISSES])
        for at in reversed(all_minutes)
        for sums in [sums_by_minute.get(at, Counter())]
    )


def validation_as_json(report: ValidationReport) -> dict[str, Any]:
    """Return a validation as the API answers it, and as the command prints it or reads it from a
    running server: sums, sums by family, and each drift, without e-mails and whole values."""
    repaired = Counter(drift.family for drift in report.drifts if drift.repaired)
    by_family = {
        name: {
            "sampled": sum(verdicts.values()),
            "same": verdicts.get(Comparison.SAME, 0),
            "drifted": sum(verdicts.get(verdict, 0) for verdict in DRIFTED),
            "repaired": repaired[name],
            "skipped": verdicts.get(Comparison.SKIPPED, 0),
            "unknown": verdicts.get(Comparison.UNKNOWN, 0),
        }
        for name, verdicts in report.by_family.items()
    }
    drifts = [
        {
            "family": drift.family,
            "key": mask_emails(drift.key),
            "verdict": drift.verdict.value,
            "ageSeconds": round(drift.age_s, 1),
            "difference": drift.difference,
            "repaired": drift.repaired,
        }
        for drift in report.drifts
    ]
    return _with_sums(by_family, drifts)


def join_validations(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return several validations in JSON, of different families, as one."""
    by_family: dict[str, dict[str, int]] = {}
    drifts: list[dict[str, Any]] = []
    for part in parts:
        by_family |= part["byFamily"]
        drifts += part["drifts"]
    return _with_sums(by_family, drifts)


def _with_sums(
    by_family: dict[str, dict[str, int]], drifts: list[dict[str, Any]]
) -> dict[str, Any]:
    sums = {what: sum(family[what] for family in by_family.values()) for what in _VALIDATION_SUMS}
    complete = sums["unknown"] == 0
    return {**sums, "complete": complete, "byFamily": by_family, "drifts": drifts}
