"""The periodic jobs, for deployments without a cron of their own.

Every serving process has a scheduler; the one that holds the lease runs the jobs, and when it dies
another takes over. A job runs in a thread of its own, so that a long one holds up neither the
others nor the lease, and never twice at a time. Its failure is logged, and it is due again after
its usual time. Whoever calls the cron addresses or commands instead sets `SCHEDULER=false`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection

from booking_api import composition
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper, LeaseLost
from cache_layer.operating.audit import validate
from hubspot_sync.background.worker import Worker

LEASE = timedelta(seconds=30)
LOOK_AGAIN_S = 5.0
# Not at once: a process that is started again and again would do nothing else.
FIRST_AFTER_S = 60.0
PRUNE_EVERY_S = 3_600.0
STOP_WITHIN_S = 10.0

log = structlog.get_logger(__name__)

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something to be done every so many seconds."""

    name: str
    every_s: float
    work: Work


def in_a_thread(work: Work) -> None:
    threading.Thread(target=work, name="job", daemon=True).start()


class Scheduler:
    """Runs jobs when they are due, while it holds the lease. `clock` counts seconds and never goes
    back; `run` has a job done."""

    def __init__(
        self,
        jobs: Sequence[Job],
        lease: LeaseKeeper,
        *,
        first_after_s: float = FIRST_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
        run: Callable[[Work], None] = in_a_thread,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._keeper = lease
        self._clock = clock
        self._run = run
        self._held: HeldLease | None = None
        first_s = clock() + first_after_s
        self._due_s = {
            name: min(first_s, clock() + job.every_s) for name, job in self._jobs.items()
        }
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._worker = Worker(
            "scheduler",
            self._look_and_rest,
            first_rest_s=LOOK_AGAIN_S,
            finish=self._give_back_at_the_end,
            stop_within_s=STOP_WITHIN_S,
        )

    def start(self) -> None:
        self._worker.start()

    def close(self) -> None:
        """End, and let another process be the scheduler at once."""
        self._worker.stop()

    def look(self) -> None:
        """Start what is due, if this process holds the lease; raise Django's database errors."""
        if not self._holds():
            return
        now_s = self._clock()
        for name, job in self._jobs.items():
            if self._due_s[name] <= now_s and self._begin(name):
                self._due_s[name] = now_s + job.every_s
                self._run(partial(self._do, job))

    def give_back(self) -> None:
        """Let another process be the scheduler."""
        if self._held is not None:
            self._held.give_back()
            self._held = None

    def _holds(self) -> bool:
        if self._held is None:
            self._held = self._keeper.acquire()
            return self._held is not None
        try:
            self._held.renew()
        except LeaseLost:
            self._held = None
            return False
        return True

    def _begin(self, name: str) -> bool:
        """Return whether the job may begin: one that takes longer than its time is not doubled."""
        with self._lock:
            if name in self._running:
                return False
            self._running.add(name)
            return True

    def _do(self, job: Job) -> None:
        try:
            job.work()
            log.info("job_done", job=job.name)
        except Exception:
            log.exception("job_failed", job=job.name)
        finally:
            with self._lock:
                self._running.discard(job.name)
            connection.close()

    def _look_and_rest(self) -> float:
        try:
            self.look()
        except DatabaseFailure:
            # Whether the lease is still ours shows at the next look.
            log.exception("scheduler_failed")
            connection.close()
        return LOOK_AGAIN_S

    def _give_back_at_the_end(self) -> None:
        try:
            self.give_back()
        except DatabaseFailure:
            log.exception("scheduler_failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How often the jobs are due, and how long applied webhooks are kept."""

    recount_every_s: float
    validate_every_s: float
    keep_webhooks: timedelta


def scheduler(times: Times) -> Scheduler:
    """Return the application's scheduler; nothing is started."""
    return Scheduler(periodic_jobs(times), LeaseKeeper("scheduler", LEASE))


def periodic_jobs(times: Times) -> tuple[Job, ...]:
    # A little more than since the last time: a credit may be written while this is asked.
    lately = timedelta(seconds=2 * times.recount_every_s)
    return (
        Job(name="recount", every_s=times.recount_every_s, work=recount),
        Job(
            name="review credits",
            every_s=times.recount_every_s,
            work=partial(review_credits, lately),
        ),
        Job(name="validate cache", every_s=times.validate_every_s, work=validate_cache),
        Job(name="prune", every_s=PRUNE_EVERY_S, work=partial(prune, times)),
    )


def recount() -> None:
    """Correct the counts of all exams that may still be booked."""
    composition.services().booking.recount_upcoming()


def review_credits(lately: timedelta) -> None:
    """Compare with the journal the credits that were written lately."""
    composition.services().booking.review_credits(lately)


def validate_cache() -> None:
    """Compare a sample of every family with HubSpot and repair what drifted."""
    validate(composition.cache_host(), who="scheduler")


def prune(times: Times) -> None:
    """Remove what was kept long enough of webhooks and of the journal."""
    services = composition.services()
    services.webhooks.inbox.prune(times.keep_webhooks)
    services.booking.prune()
