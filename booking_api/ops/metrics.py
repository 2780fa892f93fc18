"""Numbers for Prometheus: requests answered, calls to HubSpot.

Core code writes records; here they become metrics. With `PROMETHEUS_MULTIPROC_DIR` set, `/metrics`
answers for all processes that share the folder.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

from booking_api import composition
from hubspot_sync.ledger import CallRecord


class Metrics:
    """This process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "mocks_request_seconds",
            "Requests answered, by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.hubspot_calls = Histogram(
            "mocks_hubspot_call_seconds",
            "Calls to HubSpot from sending to the whole answer; status 0 is none.",
            ["operation", "object_type", "status"],
            registry=self.registry,
        )
        self.hubspot_waits = Counter(
            "mocks_hubspot_wait_seconds",
            "Time calls to HubSpot waited for the limiter.",
            ["operation"],
            registry=self.registry,
        )
        self.hubspot_retries = Counter(
            "mocks_hubspot_retries",
            "Calls to HubSpot that were not the first attempt.",
            ["operation"],
            registry=self.registry,
        )

    def observe_call(self, record: CallRecord) -> None:
        status = 0 if record.status is None else record.status
        self.hubspot_calls.labels(record.operation, record.object_type, status).observe(
            record.took_s
        )
        self.hubspot_waits.labels(record.operation).inc(record.waited_s)
        self.hubspot_retries.labels(record.operation).inc(record.attempt > 1)


@cache
def metrics() -> Metrics:
    return Metrics()


def start() -> None:
    """Observe the calls this process will make; called when a server loads the application."""
    composition.observe_calls(metrics().observe_call)


def observe_request(*, method: str, route: str, status: int, took_s: float) -> None:
    known = method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"} else "other"
    metrics().requests.labels(route, known, status).observe(took_s)


def exposition() -> bytes:
    """Return the metrics in Prometheus' text format."""
    if settings.PROMETHEUS_MULTIPROC_DIR == "":
        return generate_latest(metrics().registry)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
