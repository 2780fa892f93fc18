"""Numbers for Prometheus; docs/metrics.md says what each of them is.

Core code writes records; here they become metrics. Where `PROMETHEUS_MULTIPROC_DIR` names a folder,
as `manage.py serve` has it do, `/metrics` answers for all processes that share it.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, generate_latest

from booking_api import composition
from booking_api.ops.metrics.backlog import BacklogCollector
from booking_api.ops.metrics.cache import CacheMetrics
from booking_api.ops.metrics.desk import DeskMetrics
from booking_api.ops.metrics.feed import FeedMetrics
from booking_api.ops.metrics.hubspot import HubSpotMetrics
from booking_api.ops.metrics.jobs import JobMetrics
from booking_api.ops.metrics.processes import LOOK_EVERY_S, ProcessMetrics
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
        self.feed = FeedMetrics(self.registry)
        self.desk = DeskMetrics(self.registry)
        self.cache = CacheMetrics(self.registry)
        self.jobs = JobMetrics(self.registry)
        self._processes = ProcessMetrics(self.registry)

    def look_around(self) -> float:
        """Show how this process is doing; return in how many seconds to look again."""
        self._processes.look(composition.built_services(), self.cache)
        return LOOK_EVERY_S


@lru_cache(maxsize=1)
def metrics() -> Metrics:
    return Metrics()


def start_observing() -> None:
    """Observe what this process will do; called when a server loads the application."""
    composition.observe_calls(metrics().hubspot.observe_call)
    composition.observe_wire(metrics().hubspot.observe_event)
    composition.observe_unreadable(metrics().hubspot.observe_unreadable)
    for told in (metrics().webhooks, metrics().feed):
        composition.observe_webhooks(told.observe_events, told.observe_inbox)
    composition.observe_feed(metrics().feed.observe, metrics().feed.observe_delay)
    composition.observe_cache(metrics().cache.observe_tallies, metrics().cache.observe_endings)
    composition.observe_desk(metrics().desk.observe)


def render_metrics() -> bytes:
    """Return the metrics in Prometheus' text format."""
    metrics().look_around()
    waiting = CollectorRegistry()
    waiting.register(BacklogCollector())
    return generate_latest(collect_shared_metrics() or metrics().registry) + generate_latest(
        waiting
    )
