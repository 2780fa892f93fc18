"""The periodic jobs, for deployments without a cron of their own.

Every serving process has a scheduler; the one that holds the lease runs the jobs, and when it dies
another takes over. A job runs in a thread of its own, so that a long one holds up neither the
others nor the lease, and never twice at a time. Its failure is logged, and it is due again after
its usual time. What concerns one process alone, as a cache in its memory, each does for itself.
Whoever calls the cron addresses or commands instead sets `SCHEDULER=false`.
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
from booking_api.ops.history.process import running
from booking_api.ops.metrics import metrics
from booking_api.ops.warming.job import WARM_CACHE, WarmingJob, WarmingPolicy
from cache_layer.operating.audit import validate_and_record
from hubspot_sync.background.worker import Worker

LEASE_DURATION = timedelta(seconds=30)
LOOK_AGAIN_S = 5.0
# Not at once: a process that is started again and again would do nothing else.
FIRST_AFTER_S = 60.0
PRUNE_EVERY_S = 3_600.0
STOP_WITHIN_S = 10.0
# Those that a cron address starts, too.
RECOUNT, VALIDATE_CACHE = "recount", "validate cache"

log = structlog.get_logger(__name__)

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something to be done every so many seconds: in the process that holds the lease, or
    `everywhere`, whoever holds it."""

    name: str
    every_s: float
    work: Work
    everywhere: bool = False


def start_in_thread(work: Work) -> None:
    threading.Thread(target=work, name="job", daemon=True).start()


class Scheduler:
    """Runs jobs when they are due, while it holds the lease. `clock` counts seconds and never goes
    back; `run` has a job done."""

    def __init__(
        self,
        jobs: Sequence[Job],
        lease_keeper: LeaseKeeper,
        *,
        first_after_s: float = FIRST_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
        run: Callable[[Work], None] = start_in_thread,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._lease_keeper = lease_keeper
        self._clock = clock
        self._run = run
        self._lease: HeldLease | None = None
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
            finish=self._release_lease_at_the_end,
            stop_within_s=STOP_WITHIN_S,
        )

    def start(self) -> None:
        self._worker.start()

    def close(self) -> None:
        """End, and let another process be the scheduler at once."""
        self._worker.stop()

    def run_due_jobs(self) -> None:
        """Start the jobs that are due: all of them if this process holds or gets the lease, else
        those that are every process's; raise Django's database errors."""
        holds_lease = self._acquire_or_renew_lease()
        now_s = self._clock()
        for name, job in self._jobs.items():
            is_ours = holds_lease or job.everywhere
            if is_ours and self._due_s[name] <= now_s and self._mark_running(name):
                self._due_s[name] = now_s + job.every_s
                self._run(partial(self._run_job, job))

    def release_lease(self) -> None:
        """Let another process be the scheduler."""
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None

    def _acquire_or_renew_lease(self) -> bool:
        """Return whether this process holds the lease now."""
        if self._lease is None:
            self._lease = self._lease_keeper.acquire()
            return self._lease is not None
        try:
            self._lease.renew()
        except LeaseLost:
            self._lease = None
            return False
        return True

    def _mark_running(self, name: str) -> bool:
        """Mark the job as running; return False where it runs already: a run that takes longer
        than its time is not doubled."""
        with self._lock:
            if name in self._running:
                return False
            self._running.add(name)
            return True

    def _run_job(self, job: Job) -> None:
        try:
            with running(job.name):
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
            self.run_due_jobs()
        except DatabaseFailure:
            # Whether the lease is still ours shows at the next look.
            log.exception("scheduler_failed")
            connection.close()
        return LOOK_AGAIN_S

    def _release_lease_at_the_end(self) -> None:
        try:
            self.release_lease()
        except DatabaseFailure:
            log.exception("scheduler_failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTimes:
    """How often the jobs are due, and how long applied webhooks are kept. `warming` is None where
    nothing is warmed."""

    recount_every_s: float
    validate_every_s: float
    warming: WarmingPolicy | None
    keep_webhooks: timedelta


def build_scheduler(times: JobTimes) -> Scheduler:
    """Return the application's scheduler; nothing is started."""
    jobs = periodic_jobs(times)
    metrics().jobs.declare(job.name for job in jobs)
    return Scheduler(jobs, LeaseKeeper("scheduler", LEASE_DURATION))


def periodic_jobs(times: JobTimes) -> tuple[Job, ...]:
    # A little more than since the last time: a credit may be written while this is asked.
    lately = timedelta(seconds=2 * times.recount_every_s)
    jobs = (
        Job(name=RECOUNT, every_s=times.recount_every_s, work=recount),
        Job(
            name="review credits",
            every_s=times.recount_every_s,
            work=partial(review_credits, lately),
        ),
        Job(name=VALIDATE_CACHE, every_s=times.validate_every_s, work=validate_cache),
        Job(name="prune", every_s=PRUNE_EVERY_S, work=partial(prune, times)),
    )
    if times.warming is None:
        return jobs
    warming = Job(
        name=WARM_CACHE,
        every_s=times.warming.every_s,
        work=WarmingJob(times.warming).warm,
        everywhere=times.warming.everywhere,
    )
    return (*jobs, warming)


def recount() -> None:
    """Correct the counts of all exams that may still be booked."""
    composition.services().booking.recount_upcoming()


def review_credits(lately: timedelta) -> None:
    """Compare with the journal the credits that were written lately."""
    composition.services().booking.review_credits(lately)


def validate_cache() -> None:
    """Compare a sample of every family with HubSpot and repair what drifted."""
    validate_and_record(composition.cache_host(), who="scheduler")


def prune(times: JobTimes) -> None:
    """Remove what was kept long enough of webhooks and of the journal."""
    services = composition.services()
    services.webhooks.inbox.prune(times.keep_webhooks)
    services.webhooks.told.prune()
    services.booking.prune()
