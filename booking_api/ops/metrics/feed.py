"""How far the change journal is followed, and how late it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from booking_api.ops.metrics.observing import never_raising
from hubspot_sync.feed.observers import FeedHappening

DELAYS_S = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 1_800, 7_200)


class FeedMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._happenings = Counter(
            "mocks_feed",
            "What happened with the change feed: entries and events read, failures, and so on.",
            ["what"],
            registry=registry,
        )
        for what in FeedHappening:
            self._happenings.labels(what)
        self._delays = Histogram(
            "mocks_feed_delay_seconds",
            "From HubSpot's answer to a booking that we made until the change journal showed it.",
            buckets=DELAYS_S,
            registry=registry,
        )

    @never_raising
    def observe(self, what: FeedHappening, number: int) -> None:
        self._happenings.labels(what).inc(number)

    @never_raising
    def observe_delay(self, delay_s: float) -> None:
        self._delays.observe(delay_s)
