"""What is asked of this API, and how that ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from booking_api.ops.metrics.observing import never_raising

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
NEAR_DEADLINE: Final = 0.8
DURATIONS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30)
"""From an answer out of the cache to the deadline; one is what the alert on slow requests goes by,
since between two bounds a percentile is a guess."""
OTHER: Final = "other"
"""In place of what a caller may choose."""


class RequestMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "mocks_request_seconds",
            "Requests answered, by route, method and status.",
            ["route", "method", "status"],
            buckets=DURATIONS_S,
            registry=registry,
        )
        self._durations: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._near_deadline = Counter(
            "mocks_requests_near_deadline",
            "Requests that took more than four fifths of the time they had.",
            ["route"],
            registry=registry,
        )
        self._credit_checks = Counter(
            "mocks_credit_checks",
            "Credit checks that were answered, by mock type: eligible, or not.",
            ["mock_type", "outcome"],
            registry=registry,
        )
        self._bookings = Counter(
            "mocks_bookings",
            "Bookings asked for, by mock type: made, repeated, or the code of the refusal.",
            ["mock_type", "outcome"],
            registry=registry,
        )
        self._forwarding = Counter(
            "mocks_forwarding_headers",
            "Headers that name a client and were not believed: untrusted, from a peer that "
            "TRUSTED_PROXIES does not name; unread, of a kind that is never read.",
            ["reason", "header"],
            registry=registry,
        )

    @never_raising
    def observe_request(
        self, *, method: str, route: str, status: int, took_s: float, patience_s: float = math.inf
    ) -> None:
        """Count a request that took so long and had `patience_s`; the route is the URL table's."""
        known_method = method if method in METHODS else OTHER
        self._observe_duration(route, known_method, status)(took_s)
        if took_s > NEAR_DEADLINE * patience_s:
            self._near_deadline.labels(route).inc()

    def _observe_duration(self, route: str, method: str, status: int) -> Callable[[float], None]:
        """Return what counts such requests: of each kind there is one, and it is asked for with
        every request."""
        kind = (route, method, status)
        observe = self._durations.get(kind)
        if observe is None:
            observe = self._durations[kind] = self._requests.labels(*kind).observe
        return observe

    @never_raising
    def observe_credit_check(self, mock_type: str, *, eligible: bool) -> None:
        """`mock_type` is one of the profile's."""
        self._credit_checks.labels(mock_type, "eligible" if eligible else "not eligible").inc()

    @never_raising
    def observe_booking(self, mock_type: str, outcome: str) -> None:
        """`mock_type` is one of the profile's or OTHER, `outcome` a word or a code of ours."""
        self._bookings.labels(mock_type, outcome).inc()

    @never_raising
    def observe_forwarding(self, reason: str, header: str) -> None:
        self._forwarding.labels(reason, header).inc()
