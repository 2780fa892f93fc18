"""The periodic jobs, whoever starts them: the scheduler, or somebody by a cron address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from booking_api.ops.metrics.observing import never_raising


class JobMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "mocks_job_runs",
            "Runs of periodic jobs: done or failed.",
            ["job", "outcome"],
            registry=registry,
        )
        self._last_success = Gauge(
            "mocks_job_last_success_timestamp_seconds",
            "When a periodic job was last done, as Unix time.",
            ["job"],
            registry=registry,
            # A worker that has died did it all the same.
            multiprocess_mode="max",
        )

    def declare(self, jobs: Iterable[str]) -> None:
        """Begin to count their runs at nought."""
        for job in jobs:
            self._runs.labels(job, "done")
            self._runs.labels(job, "failed")

    @contextmanager
    def running(self, job: str) -> Iterator[None]:
        """Count what is done inside the block as one run; what it raises is a failure."""
        self.declare([job])
        try:
            yield
        except BaseException:
            self._observe_run(job, "failed")
            raise
        self._observe_run(job, "done")

    @never_raising
    def _observe_run(self, job: str, outcome: str) -> None:
        self._runs.labels(job, outcome).inc()
        if outcome == "done":
            self._last_success.labels(job).set_to_current_time()
