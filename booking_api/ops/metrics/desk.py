"""What the booking desk does; what waits for it is `backlog.py`'s."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from booking_api.desk.events import (
    CreditCorrected,
    CreditRefused,
    DeskEvent,
    GroupServed,
    LeaseTakenOver,
)
from booking_api.ops.metrics.observing import never_raising

GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100)


class DeskMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "mocks_desk_requests",
            "Requests the booking desk took up, by kind and outcome; one may be unfinished first "
            "and done in a recovery.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._groups = Histogram(
            "mocks_desk_group_size",
            "How many requests the booking desk served at once.",
            ["recovery"],
            buckets=GROUP_SIZES,
            registry=registry,
        )
        self._takeovers = Counter(
            "mocks_desk_takeovers",
            "Leases taken from a desk that never gave its own back.",
            registry=registry,
        )
        self._last_takeover = Gauge(
            "mocks_desk_last_takeover_timestamp_seconds",
            "When a lease was last taken so, as Unix time; 0 where none was since the start.",
            registry=registry,
            # A worker that has died did it all the same.
            multiprocess_mode="max",
        )
        self._credits_mended = Counter(
            "mocks_desk_credits_mended",
            "Credits that were not what the journal makes them, and were set right.",
            ["credit"],
            registry=registry,
        )
        self._credits_refused = Counter(
            "mocks_desk_credits_refused",
            "Credits HubSpot refuses to write, by kind: a create is taken back, a cancel owes one.",
            ["kind", "credit"],
            registry=registry,
        )

    @never_raising
    def observe(self, event: DeskEvent) -> None:
        match event:
            case GroupServed():
                for (kind, outcome), number in event.outcomes.items():
                    self._requests.labels(kind, outcome).inc(number)
                self._groups.labels(str(event.recovery).lower()).observe(event.size)
            case LeaseTakenOver():
                self._takeovers.inc()
                self._last_takeover.set_to_current_time()
            case CreditCorrected():
                self._credits_mended.labels(event.credit_property).inc()
            case CreditRefused():
                self._credits_refused.labels(event.kind, event.credit_property).inc()
