"""What is asked of HubSpot, and what that costs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from hubspot_sync.wire.call_log import CallRecord


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
        self._unreadable_values = Counter(
            "mocks_hubspot_unreadable_values",
            "Values in HubSpot that could not be read, by object and property, at each reading.",
            ["object", "property"],
            registry=registry,
        )

    def observe_call(self, record: CallRecord) -> None:
        status = 0 if record.status is None else record.status
        self._calls.labels(record.operation, record.object_type, status).observe(record.took_s)
        self._waits.labels(record.operation).inc(record.waited_s)
        self._retries.labels(record.operation).inc(record.attempt > 1)

    def observe_unreadable(self, kind: str, property_name: str) -> None:
        self._unreadable_values.labels(kind, property_name).inc()
