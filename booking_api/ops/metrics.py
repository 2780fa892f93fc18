"""Numbers for Prometheus: requests answered, calls to HubSpot, webhook events.

Core code writes records; here they become metrics. Where `PROMETHEUS_MULTIPROC_DIR` names a folder,
as `manage.py serve` has it do, `/metrics` answers for all processes that share it.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from booking_api import composition
from booking_api.desk.events import (
    CreditCorrected,
    CreditRefused,
    DeskEvent,
    GroupServed,
    LeaseTakenOver,
)
from booking_api.ops.backlog_metrics import BacklogCollector
from booking_api.ops.shared_metrics import collect_shared_metrics, prepare_own_files
from hubspot_sync.inbox.observers import EventsHandled
from hubspot_sync.wire.call_log import CallRecord

# From the moment it is seen to the day after, when HubSpot gives up.
GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100)
DELAYS_S = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)


class Metrics:
    """This process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        prepare_own_files()
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

        self.webhook_events = Counter(
            "mocks_webhook_events",
            "Webhook events, by what became of them; one may be received and then applied.",
            ["outcome"],
            registry=self.registry,
        )
        self.webhook_delays = Histogram(
            "mocks_webhook_delay_seconds",
            "From when something happened in HubSpot until it was applied here.",
            buckets=DELAYS_S,
            registry=self.registry,
        )
        self.webhooks_waiting = Gauge(
            "mocks_webhook_events_waiting",
            "Webhook events in the inbox that are not applied yet, when last looked.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

        self.desk_requests = Counter(
            "mocks_desk_requests",
            "Requests the booking desk took up, by kind and outcome; one may be unfinished first "
            "and done in a recovery.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.desk_groups = Histogram(
            "mocks_desk_group_size",
            "How many requests the booking desk served at once.",
            ["recovery"],
            buckets=GROUP_SIZES,
            registry=self.registry,
        )
        self.desk_takeovers = Counter(
            "mocks_desk_takeovers",
            "Leases taken from a desk that never gave its own back.",
            registry=self.registry,
        )
        self.credits_mended = Counter(
            "mocks_desk_credits_mended",
            "Credits that were not what the journal makes them, and were set right.",
            ["credit"],
            registry=self.registry,
        )
        self.credits_refused = Counter(
            "mocks_desk_credits_refused",
            "Credits HubSpot refuses to write, by kind: a create is taken back, a cancel owes one.",
            ["kind", "credit"],
            registry=self.registry,
        )
        self.unreadable_values = Counter(
            "mocks_hubspot_unreadable_values",
            "Values in HubSpot that could not be read, by object and property, at each reading.",
            ["object", "property"],
            registry=self.registry,
        )
        self.forwarding = Counter(
            "mocks_forwarding_headers",
            "Headers that name a client and were not believed: untrusted, from a peer that "
            "TRUSTED_PROXIES does not name; unread, of a kind that is never read.",
            ["reason", "header"],
            registry=self.registry,
        )

    def observe_call(self, record: CallRecord) -> None:
        status = 0 if record.status is None else record.status
        self.hubspot_calls.labels(record.operation, record.object_type, status).observe(
            record.took_s
        )
        self.hubspot_waits.labels(record.operation).inc(record.waited_s)
        self.hubspot_retries.labels(record.operation).inc(record.attempt > 1)

    def observe_webhooks(self, handled: EventsHandled) -> None:
        self.webhook_events.labels(handled.outcome).inc(handled.number)
        for delay in handled.delays:
            self.webhook_delays.observe(delay.total_seconds())

    def observe_inbox(self, waiting: int) -> None:
        self.webhooks_waiting.set(waiting)

    def observe_unreadable(self, kind: str, property_name: str) -> None:
        self.unreadable_values.labels(kind, property_name).inc()

    def observe_desk(self, event: DeskEvent) -> None:
        match event:
            case GroupServed():
                for (kind, outcome), number in event.outcomes.items():
                    self.desk_requests.labels(kind, outcome).inc(number)
                self.desk_groups.labels(str(event.recovery).lower()).observe(event.size)
            case LeaseTakenOver():
                self.desk_takeovers.inc()
            case CreditCorrected():
                self.credits_mended.labels(event.credit_property).inc()
            case CreditRefused():
                self.credits_refused.labels(event.kind, event.credit_property).inc()


@cache
def metrics() -> Metrics:
    return Metrics()


def start_observing() -> None:
    """Observe the calls this process will make, what it reads, its webhooks and its desk; called
    when a server loads the application."""
    composition.observe_calls(metrics().observe_call)
    composition.observe_webhooks(metrics().observe_webhooks, metrics().observe_inbox)
    composition.observe_desk(metrics().observe_desk)
    composition.observe_unreadable(metrics().observe_unreadable)


def observe_request(*, method: str, route: str, status: int, took_s: float) -> None:
    known_method = (
        method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"} else "other"
    )
    metrics().requests.labels(route, known_method, status).observe(took_s)


def observe_forwarding(reason: str, header: str) -> None:
    metrics().forwarding.labels(reason, header).inc()


def render_metrics() -> bytes:
    """Return the metrics in Prometheus' text format."""
    waiting = CollectorRegistry()
    waiting.register(BacklogCollector())
    return generate_latest(collect_shared_metrics() or metrics().registry) + generate_latest(
        waiting
    )
