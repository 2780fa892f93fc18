"""Numbers for Prometheus; docs/metrics.md says what each of them is.

Core code writes records; here they become metrics. Where `PROMETHEUS_MULTIPROC_DIR` names a folder,
as `manage.py serve` has it do, `/metrics` answers for all processes that share it.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, generate_latest

from booking_api import composition
from booking_api.ops.metrics.backlog import BacklogCollector
from booking_api.ops.metrics.desk import DeskMetrics
from booking_api.ops.metrics.hubspot import HubSpotMetrics
from booking_api.ops.metrics.requests import RequestMetrics
from booking_api.ops.metrics.sharing import collect_shared_metrics, prepare_own_files
from booking_api.ops.metrics.webhooks import WebhookMetrics


class Metrics:
    """This process's metrics, in a registry of their own, by what they are about."""

    def __init__(self) -> None:
        prepare_own_files()
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry)
        self.hubspot = HubSpotMetrics(self.registry)
        self.webhooks = WebhookMetrics(self.registry)
        self.desk = DeskMetrics(self.registry)


@cache
def metrics() -> Metrics:
    return Metrics()


def start_observing() -> None:
    """Observe what this process will do; called when a server loads the application."""
    composition.observe_calls(metrics().hubspot.observe_call)
    composition.observe_wire(metrics().hubspot.observe_event)
    composition.observe_unreadable(metrics().hubspot.observe_unreadable)
    composition.observe_webhooks(
        metrics().webhooks.observe_events, metrics().webhooks.observe_inbox
    )
    composition.observe_desk(metrics().desk.observe)


def render_metrics() -> bytes:
    """Return the metrics in Prometheus' text format."""
    waiting = CollectorRegistry()
    waiting.register(BacklogCollector())
    return generate_latest(collect_shared_metrics() or metrics().registry) + generate_latest(
        waiting
    )
