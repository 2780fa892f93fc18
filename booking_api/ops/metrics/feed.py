"""How far the change journal is followed, and how late it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from booking_api.ops.metrics.observing import never_raising
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.inbox.observers import EventsHandled, Source

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

        self._events = Counter(
            "mocks_feed_events",
            "Events of the change journal, by what became of them here.",
            ["outcome"],
            registry=registry,
        )
        self._waiting = Gauge(
            "mocks_feed_events_waiting",
            "Events of the change journal that are not applied yet, when last looked.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    @never_raising
    def observe_events(self, handled: EventsHandled) -> None:
        """How long ago they happened is not measured: catching up is not being late."""
        if handled.source is Source.JOURNAL:
            self._events.labels(handled.outcome).inc(handled.number)

    @never_raising
    def observe_inbox(self, source: Source, waiting: int) -> None:
        if source is Source.JOURNAL:
            self._waiting.set(waiting)

    @never_raising
    def observe(self, what: FeedHappening, number: int) -> None:
        self._happenings.labels(what).inc(number)

    @never_raising
    def observe_delay(self, delay_s: float) -> None:
        self._delays.observe(delay_s)
