"""What is asked of HubSpot, and what that costs."""

from __future__ import annotations

import math
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from booking_api.ops.metrics.observing import never_raising
from booking_api.ops.metrics.requests import OTHER
from booking_api.ops.metrics.sharing import find_shared_folder
from hubspot_sync.wire.call_log import (
    BatchSent,
    BreakerChanged,
    CallRecord,
    Paused,
    WireEvent,
)
from hubspot_sync.wire.transport import LONG_WAIT_S, TOO_MANY

POLICIES: Final = {
    "TEN_SECONDLY_ROLLING": "ten_secondly",
    "SECONDLY": "secondly",
    "DAILY": "daily",
}


class HubSpotMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Histogram(
            "mocks_hubspot_call_seconds",
            "Calls to HubSpot from sending to the whole answer; status 0 is none.",
            ["operation", "object_type", "status"],
            registry=registry,
        )
        self._waits = Counter(
            "mocks_hubspot_wait_seconds",
            "Time calls to HubSpot waited for the limiter.",
            ["operation"],
            registry=registry,
        )
        self._retries = Counter(
            "mocks_hubspot_retries",
            "Calls to HubSpot that were not the first attempt.",
            ["operation"],
            registry=registry,
        )
        self._by_route = Counter(
            "mocks_hubspot_route_calls",
            "Calls to HubSpot by who asked: our route, or what works in the background.",
            ["route"],
            registry=registry,
        )
        self._long_waits = Counter(
            "mocks_hubspot_long_waits",
            "Calls to HubSpot that waited for the limiter for more than a second.",
            ["operation"],
            registry=registry,
        )
        self._limited = Counter(
            "mocks_hubspot_limited",
            "429s by the limit they name.",
            ["policy"],
            registry=registry,
        )
        for policy in (*POLICIES.values(), OTHER):
            self._limited.labels(policy)
        self._left = Gauge(
            "mocks_hubspot_window_left",
            "How many more calls HubSpot said that it takes in its window, when it last did.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._day_left = Gauge(
            "mocks_hubspot_day_left",
            "How many more calls HubSpot said that it takes today, when it last did.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        if find_shared_folder() is None:
            # Of several processes one that was told nothing is left out; 0 would be "none left".
            self._left.set(math.nan)
            self._day_left.set(math.nan)
        self._batches = Counter(
            "mocks_hubspot_batches",
            "Batches by operation: whole, partial where some records were refused or are unknown, "
            "failed where all are.",
            ["operation", "outcome"],
            registry=registry,
        )
        self._parts = Counter(
            "mocks_hubspot_batch_parts",
            "Records of batches: ok, failed where refused, unknown where nobody can say.",
            ["operation", "outcome"],
            registry=registry,
        )
        self._breaker = Gauge(
            "mocks_hubspot_breaker_state",
            "The circuit breaker: 0 closed, 1 half open, 2 open; the worst of the workers.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._breaker_openings = Counter(
            "mocks_hubspot_breaker_openings",
            "How often the circuit breaker opened.",
            registry=registry,
        )
        self._pauses = Counter(
            "mocks_hubspot_pauses",
            "How often everybody waited because HubSpot said 429.",
            registry=registry,
        )
        self._unreadable_values = Counter(
            "mocks_hubspot_unreadable_values",
            "Values in HubSpot that could not be read, by object and property, at each reading.",
            ["object", "property"],
            registry=registry,
        )

    @never_raising
    def observe_call(self, record: CallRecord) -> None:
        status = 0 if record.status is None else record.status
        self._calls.labels(record.operation, record.object_type, status).observe(record.took_s)
        self._waits.labels(record.operation).inc(record.waited_s)
        self._retries.labels(record.operation).inc(record.attempt > 1)

        self._by_route.labels(record.asked_by or OTHER).inc()
        if record.waited_s > LONG_WAIT_S:
            self._long_waits.labels(record.operation).inc()
        if record.status == TOO_MANY:
            self._limited.labels(POLICIES.get(record.policy or "", OTHER)).inc()
        if record.left is not None:
            self._left.set(record.left)
        if record.day_left is not None:
            self._day_left.set(record.day_left)

    @never_raising
    def observe_event(self, event: WireEvent) -> None:
        match event:
            case BatchSent():
                self._count_batch(event)
            case BreakerChanged():
                self._breaker.set(event.state)
                self._breaker_openings.inc(event.opened)
            case Paused():
                self._pauses.inc()

    def _count_batch(self, batch: BatchSent) -> None:
        outcome = "partial"
        if batch.failed + batch.unknown == 0:
            outcome = "whole"
        elif batch.ok == 0:
            outcome = "failed"
        self._batches.labels(batch.operation, outcome).inc()
        for part, number in (
            ("ok", batch.ok),
            ("failed", batch.failed),
            ("unknown", batch.unknown),
        ):
            self._parts.labels(batch.operation, part).inc(number)

    @never_raising
    def observe_unreadable(self, kind: str, property_name: str) -> None:
        self._unreadable_values.labels(kind, property_name).inc()
