"""What a serving process does besides answering: the booking desk, the inbox of webhooks, the jobs.

`wsgi.py` starts it, so that what an earlier process left unfinished is finished before anybody
asks. Threads do not survive a fork: a process forked after that starts its own with its first
request. Commands and tests, which answer nobody, start nothing.
"""

from __future__ import annotations

import atexit
import os
import threading
from datetime import timedelta

import structlog
from django.conf import settings

from booking_api import composition
from booking_api.env_types import LOOPBACK
from booking_api.ops.feed import FeedFollower, build_follower
from booking_api.ops.history.process import history
from booking_api.ops.metrics import metrics
from booking_api.ops.scheduler import JobTimes, Scheduler, build_scheduler
from booking_api.ops.warming.job import WarmingPolicy
from hubspot_sync.background.worker import Worker

log = structlog.get_logger(__name__)


class ProcessLifecycle:
    """When this process starts its work in the background, once, if it serves; and ends it."""

    def __init__(self) -> None:
        self._serving = False
        self._lock = threading.Lock()
        self._pid = 0
        self._scheduler: Scheduler | None = None
        self._looking: Worker | None = None
        self._follower: FeedFollower | None = None

    def start_serving(self) -> None:
        """Start the work; this process, or those it will be forked into, serve."""
        self._serving = True
        self.ensure_started()

    def ensure_started(self) -> None:
        """Start the work, in a process that serves and has not yet; asked by every request."""
        if not self._serving or self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            announce_metrics_access()
            services = composition.services()
            services.cached.cache.start()
            services.webhooks.worker.start()
            services.unreadable.worker.start()
            services.availability.worker.start()
            services.pairs.right.worker.start()
            services.seen.worker.start()
            # Beside the start: it asks HubSpot for what the first booking will need.
            threading.Thread(target=services.booking.start, name="start", daemon=True).start()
            self._scheduler = build_scheduler(job_times()) if settings.SCHEDULER else None
            if self._scheduler is not None:
                self._scheduler.start()
            self._follower = build_follower()
            if self._follower is not None:
                self._follower.start()
            self._looking = Worker("metrics", metrics().look_around)
            self._looking.start()
            history().start()
            # For servers that do not say when they end. Our own does: its workers, forked by
            # `multiprocessing`, end without this.
            atexit.register(self.end_serving)

    def end_serving(self) -> None:
        """End the work, and let another process go on with it; does nothing the second time."""
        scheduler, self._scheduler = self._scheduler, None
        looking, self._looking = self._looking, None
        follower, self._follower = self._follower, None
        if self._pid != os.getpid():
            return
        if looking is not None:
            looking.stop()
        if follower is not None:
            follower.close()
        if scheduler is not None:
            scheduler.close()
        # Before the services, by whose clock it writes.
        history().stop()
        composition.close()


def announce_metrics_access() -> None:
    """Tell an operator who has not said who may read the metrics that nobody elsewhere can."""
    networks = tuple(settings.METRICS_NETWORKS)
    if settings.METRICS_TOKEN == "" and networks == LOOPBACK and not settings.DEBUG:
        log.warning(
            "metrics_for_this_machine_only",
            hint="Set METRICS_TOKEN, or METRICS_NETWORKS to the networks that may read /metrics.",
        )


def job_times() -> JobTimes:
    """Return the periodic jobs' times, as the settings have them."""
    return JobTimes(
        recount_every_s=settings.RECOUNT_EVERY_S,
        validate_every_s=settings.VALIDATE_EVERY_S,
        warming=warming_policy(),
        keep_webhooks=timedelta(days=settings.WEBHOOK_RETENTION_DAYS),
    )


def warming_policy() -> WarmingPolicy | None:
    """Return what is to be kept warm, None where nothing is."""
    if settings.WARM_CACHE == "off" or not settings.CACHE.enabled:
        return None
    return WarmingPolicy(
        extent=settings.WARM_CACHE,
        every_s=settings.WARM_EVERY_S,
        student_days=settings.WARM_STUDENT_DAYS,
        # A cache in another process's memory is out of reach.
        everywhere=settings.CACHE.redis_url == "",
    )


_lifecycle = ProcessLifecycle()
start_serving = _lifecycle.start_serving
ensure_started = _lifecycle.ensure_started
end_serving = _lifecycle.end_serving
