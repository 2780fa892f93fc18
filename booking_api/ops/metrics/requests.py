"""What is asked of this API, and how that ends."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
"""In place of what a caller may choose."""


class RequestMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "mocks_request_seconds",
            "Requests answered, by route, method and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._forwarding = Counter(
            "mocks_forwarding_headers",
            "Headers that name a client and were not believed: untrusted, from a peer that "
            "TRUSTED_PROXIES does not name; unread, of a kind that is never read.",
            ["reason", "header"],
            registry=registry,
        )

    def observe_request(self, *, method: str, route: str, status: int, took_s: float) -> None:
        known_method = method if method in METHODS else OTHER
        self._requests.labels(route, known_method, status).observe(took_s)

    def observe_forwarding(self, reason: str, header: str) -> None:
        self._forwarding.labels(reason, header).inc()
