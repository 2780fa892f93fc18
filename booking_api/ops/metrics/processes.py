"""What each process looks at every few seconds, and before it answers a scrape: its memory, its
connections to the database, its budget of calls to HubSpot, its cache.

Gauges of the living: what a worker last saw goes with it.
"""

from __future__ import annotations

import os
from typing import Final

import structlog
from django.db import connections
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from booking_api.composition import Services
from booking_api.ops.metrics.cache import CacheMetrics
from cache_layer import BackendUnavailable
from hubspot_sync.wire.limits.rate_budget import BudgetUsage

LOOK_EVERY_S: Final = 10.0
POOL_STATES: Final = {
    "size": "pool_size",
    "available": "pool_available",
    "waiting": "requests_waiting",
}
"""Our words for psycopg_pool's."""

log = structlog.get_logger(__name__)


class ProcessMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._process = ProcessCollector(registry=None)
        self._memory = Gauge(
            "mocks_process_memory_bytes",
            "Resident memory of each worker, by its process number.",
            ["worker"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._pool = Gauge(
            "mocks_database_pool",
            "Connections to the database: size, available, and who is waiting for one.",
            ["state"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._budget = {
            name: _BudgetGauges(name, what, registry)
            for name, what in (
                ("window", "in the current window"),
                ("search", "of searches in the current second"),
                ("day", "since midnight"),
            )
        }

    def look(self, services: Services | None, cache: CacheMetrics) -> None:
        """Show how things are; without services there is only the process."""
        for metric in self._process.collect():
            if metric.name == "process_resident_memory_bytes":
                self._memory.labels(str(os.getpid())).set(metric.samples[0].value)
        if services is None:
            return
        self._look_at_pool()
        self._look_at_budget(services.client.rate_budget.usage())
        look_at_cache(services, cache)

    def _look_at_pool(self) -> None:
        pool = getattr(connections["default"], "pool", None)
        if pool is None:
            return
        seen = pool.get_stats()
        for state, name in POOL_STATES.items():
            self._pool.labels(state).set(seen.get(name, 0))

    def _look_at_budget(self, usage: BudgetUsage) -> None:
        self._budget["window"].set(*usage.window)
        self._budget["search"].set(*usage.search)
        self._budget["day"].set(*usage.day)


class _BudgetGauges:
    def __init__(self, name: str, what: str, registry: CollectorRegistry) -> None:
        self._used = Gauge(
            f"mocks_hubspot_{name}_used",
            f"Calls to HubSpot {what}, of all workers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._limit = Gauge(
            f"mocks_hubspot_{name}_limit",
            f"How many calls to HubSpot there may be {what}.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def set(self, used: int, limit: int) -> None:
        self._used.set(used)
        self._limit.set(limit)


def look_at_cache(services: Services, metrics: CacheMetrics) -> None:
    """Show what the cache holds, and whether it may be read. A cache that is switched off is not
    bypassed."""
    cache = services.cached.cache
    metrics.declare_families(family.name for family in cache.catalogue)
    if not cache.config.enabled:
        metrics.set_size(None, bypassed=False)
        return
    try:
        size = cache.backend.size()
    except BackendUnavailable as error:
        log.debug("cache_not_measured", error=str(error))
        metrics.set_size(None, bypassed=True)
        return
    metrics.set_size(size, bypassed=not cache.guarded_store.prepare_read())
