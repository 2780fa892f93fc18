"""What the cache does: made of its own tallies, and of what it tells of entries that end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from booking_api.ops.metrics.observing import never_raising
from cache_layer.backends.base import Size
from cache_layer.counters import Count, Counted, Tally, ValidationOutcome
from cache_layer.endings import Ending, MissReason

AGES_S: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400)
"""From an invalidation right after a load to the longest TTL."""


class CacheMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._children: dict[Tally, Counter | None] = {}
        self._reads = Counter(
            "mocks_cache_reads",
            "Entries asked for by family: hits, and misses with their reason.",
            ["family", "result", "reason"],
            registry=registry,
        )
        self._loads = Counter(
            "mocks_cache_loads",
            "Entries loaded by family: loaded, absent or failed.",
            ["family", "outcome"],
            registry=registry,
        )
        self._warmed = Counter(
            "mocks_cache_warmed_entries",
            "Entries loaded before anybody asked for them, by family.",
            ["family"],
            registry=registry,
        )
        self._warmed_hits = Counter(
            "mocks_cache_warmed_hits",
            "Hits of entries loaded before anybody asked for them, by family.",
            ["family"],
            registry=registry,
        )
        self._refusals = Counter(
            "mocks_cache_refusals",
            "Entries that were loaded and not kept, by family and reason.",
            ["family", "reason"],
            registry=registry,
        )
        self._invalidations = Counter(
            "mocks_cache_invalidations", "Invalidations by cause.", ["cause"], registry=registry
        )
        self._removals = Counter(
            "mocks_cache_removals",
            "Entries that invalidations removed, by family and cause.",
            ["family", "cause"],
            registry=registry,
        )
        self._errors = Counter(
            "mocks_cache_errors", "What the cache failed to do.", ["step"], registry=registry
        )
        self._drift = Counter(
            "mocks_cache_drift",
            "Entries that a validation found to differ from HubSpot.",
            ["family"],
            registry=registry,
        )
        self._validations = Counter(
            "mocks_cache_validations",
            "Validations: clean, drifted, incomplete or failed.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ValidationOutcome:
            self._validations.labels(outcome)
        self._ages = Histogram(
            "mocks_cache_entry_age_seconds",
            "How old entries were when they ended, by family and cause.",
            ["family", "cause"],
            buckets=AGES_S,
            registry=registry,
        )
        self._make_gauges(registry)

    def _make_gauges(self, registry: CollectorRegistry) -> None:
        # The most of what the workers say: they share the cache, or there is only one.
        self._entries = Gauge(
            "mocks_cache_entries",
            "Entries held.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._bytes = Gauge(
            "mocks_cache_bytes",
            "What the entries take of their bound.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._bypassed = Gauge(
            "mocks_cache_bypassed",
            "1 while a worker may not read its cache.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def observe_tallies(self, tallies: Counted) -> None:
        for tally, number in tallies:
            self._observe_tally(tally, number)

    @never_raising
    def _observe_tally(self, tally: Tally, number: int) -> None:
        try:
            counter = self._children[tally]
        except KeyError:
            counter = self._children[tally] = self._find_counter(tally)
        if counter is not None:
            counter.inc(number)

    @never_raising
    def observe_endings(self, endings: Sequence[Ending]) -> None:
        for ending in endings:
            self._ages.labels(ending.family, ending.cause).observe(ending.age_s)

    def declare_families(self, names: Iterable[str]) -> None:
        """Begin to count at nought what may be found of these families."""
        for name in names:
            self._drift.labels(name)

    def set_size(self, size: Size | None, *, bypassed: bool) -> None:
        """Show what is held, where the cache could say so."""
        self._bypassed.set(bypassed)
        if size is not None:
            self._entries.set(size.total_entries)
            self._bytes.set(size.used_bytes)

    def _find_counter(self, tally: Tally) -> Counter | None:
        """Return what counts this, None for what is not shown, or is by something else."""
        family, detail = tally.family, tally.detail
        match tally.counted:
            case Count.HITS:
                return self._reads.labels(family, "hit", "")
            case Count.MISSES:
                return self._reads.labels(family, "miss", detail)
            case Count.BYPASSES:
                return self._reads.labels(family, "miss", MissReason.BYPASS)
            case Count.AHEAD_HITS:
                return self._warmed_hits.labels(family)
            case Count.AHEAD_STORES:
                return self._warmed.labels(family)
            case Count.LOADS:
                return self._loads.labels(family, detail)
            case Count.REFUSED_STORES:
                return self._refusals.labels(family, detail)
            case Count.REMOVALS:
                return self._removals.labels(family, detail)
            case Count.DRIFTS:
                return self._drift.labels(family)
            case _:
                return self._find_counter_of_all(tally)

    def _find_counter_of_all(self, tally: Tally) -> Counter | None:
        """The same for what belongs to no family."""
        match tally.counted:
            case Count.INVALIDATIONS:
                return self._invalidations.labels(tally.detail)
            case Count.ERRORS:
                return self._errors.labels(tally.detail)
            case Count.VALIDATIONS:
                return self._validations.labels(tally.detail)
            case _:
                return None
