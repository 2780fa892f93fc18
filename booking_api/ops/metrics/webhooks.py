"""What HubSpot tells, and how soon it is applied."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from booking_api.ops.metrics.observing import never_raising
from hubspot_sync.inbox.observers import EventsHandled, Source
from hubspot_sync.webhooks.signature import SignatureResult

# From the moment it is seen to the day after, when HubSpot gives up.
DELAYS_S = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)
SOURCE = "source"
"""Why a delivery from elsewhere than WEBHOOK_SOURCES is refused."""
REFUSALS = (
    SOURCE,
    *(one.name.lower() for one in SignatureResult if one is not SignatureResult.VERIFIED),
)


class WebhookMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "mocks_webhook_events",
            "Webhook events, by what became of them; one may be received and then applied.",
            ["outcome"],
            registry=registry,
        )
        self._delays = Histogram(
            "mocks_webhook_delay_seconds",
            "From when something happened in HubSpot until it was applied here.",
            buckets=DELAYS_S,
            registry=registry,
        )
        self._waiting = Gauge(
            "mocks_webhook_events_waiting",
            "Webhook events in the inbox that are not applied yet, when last looked.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )

        self._refused = Counter(
            "mocks_webhook_signatures_refused",
            "Deliveries that were not believed, by what is wrong with them.",
            ["reason"],
            registry=registry,
        )
        for reason in REFUSALS:
            self._refused.labels(reason)

    @never_raising
    def observe_refusal(self, reason: str) -> None:
        """`reason` is one of REFUSALS."""
        self._refused.labels(reason).inc()

    @never_raising
    def observe_events(self, handled: EventsHandled) -> None:
        if handled.source is not Source.WEBHOOK:
            return
        self._events.labels(handled.outcome).inc(handled.number)
        for delay in handled.delays:
            self._delays.observe(delay.total_seconds())

    @never_raising
    def observe_inbox(self, source: Source, waiting: int) -> None:
        if source is Source.WEBHOOK:
            self._waiting.set(waiting)
