"""Writes what one process measured into the database, a row a minute, in a thread of its own.

The minute is the database's. A row is written again every few seconds while it grows, always as a
whole, so that writing it twice does no harm; one that may have arrived is written again as it was.
What came to be while nothing could be written is added to the next row: a sum, so it does not grow
while the database is away. A process that is killed loses its last seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import Error as DatabaseFailure

from booking_api.desk.journal.lease import process_name
from booking_api.ops.history.measured import NOTHING, Measured, add_up
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.ops.history.tally import Tally
from booking_api.ops.history.upkeep import keep_up, read_rows
from hubspot_sync.background.wait_limits import waiting_at_most

MINUTE: Final = timedelta(minutes=1)
MINUTE_S: Final = 60
WRITE_EVERY_S: Final = 5.0
AFTER_A_MINUTE_S: Final = 0.05
"""So that the step at a minute's end is surely behind it."""
SAME_MINUTE_WITHIN: Final = timedelta(seconds=3 * WRITE_EVERY_S)
"""What was measured since the last step belongs to the minute of that step, if it is so recent."""
MAX_WAIT_S: Final = 3.0
KEEP_UP_EVERY: Final = timedelta(minutes=10)
MAX_JOBS: Final = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedRun:
    """A run of a job, by the clock that counts seconds; `failure` is the name of what it raised, ""
    where it was done."""

    began_s: float
    ended_s: float
    failure: str


class HistoryWriter:
    """One process's; `now` is the database's time and may raise its errors, `clock` counts seconds
    and never goes back."""

    def __init__(
        self,
        tally: Tally,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tally = tally
        self._now = now
        self._clock = clock
        self._process = (0, "")
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._minute: datetime | None = None
        self._latest: datetime | None = None
        self._written: Measured | None = None
        self._sent: tuple[datetime, Measured] | None = None
        self._unwritten = NOTHING
        self._runs: dict[str, EndedRun] = {}
        self._kept_up_at: datetime | None = None
        self._is_failing = False

    def take_step(self) -> float:
        """Write what there is; return for how many seconds to rest."""
        with self._lock, waiting_at_most(MAX_WAIT_S):
            self._unwritten = add_up((self._unwritten, self._tally.take()))
            try:
                now = self._now()
                self._write(now)
                self._write_runs(now)
                self._keep_up(now)
            except DatabaseFailure as error:
                self._report(error)
                return WRITE_EVERY_S
            self._is_failing = False
        return min(WRITE_EVERY_S, _left_of_minute_s(now) + AFTER_A_MINUTE_S)

    @contextmanager
    def recording(self, job: str) -> Iterator[None]:
        """Have what is done inside the block written with the next step as a run of the job; what
        it raises is its failure. The latest of each job is enough."""
        began_s, failure = self._clock(), ""
        try:
            yield
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            if job in self._runs or len(self._runs) < MAX_JOBS:
                self._runs[job] = EndedRun(began_s=began_s, ended_s=self._clock(), failure=failure)

    def _name_of_process(self) -> str:
        """Return a name that no other process has, nor one that this one was forked from."""
        if self._process[0] != os.getpid():
            self._process = (os.getpid(), process_name())
        return self._process[1]

    def _write(self, now: datetime) -> None:
        """Write the row of the minute that the tally belongs to, and one of the minute that has
        begun, which says that this process lives."""
        self._write_sent()
        looked_at, self._looked_at = self._looked_at, now
        since = now
        if looked_at is not None and timedelta(0) <= now - looked_at <= SAME_MINUTE_WITHIN:
            since = looked_at
        for minute in sorted({_minute_of(since), _minute_of(now)}):
            self._write_minute(minute)

    def _write_minute(self, minute: datetime) -> None:
        if minute != self._minute:
            self._written = self._find_written(minute)
            self._minute = minute
        if self._written is not None and self._unwritten.is_empty:
            return
        self._sent = (minute, add_up((self._written or NOTHING, self._unwritten)))
        self._unwritten = NOTHING
        self._write_sent()

    def _find_written(self, minute: datetime) -> Measured | None:
        """Return what this process has in the row of a minute that its clock came to again, None
        where it has no row."""
        if self._latest is None or minute > self._latest:
            return None
        rows = HistoryRow.objects.filter(
            began_at=minute, span_s=MINUTE_S, process=self._name_of_process()
        )
        found = list(rows)
        return add_up(read_rows(found)) if found else None

    def _write_sent(self) -> None:
        """Write the row that was put together last, where it is not known to have arrived."""
        if self._sent is None:
            return
        minute, whole = self._sent
        row = HistoryRow(
            process=self._name_of_process(),
            began_at=minute,
            span_s=MINUTE_S,
            measured=whole.to_json(),
        )
        HistoryRow.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["began_at", "span_s", "process"],
            update_fields=["measured"],
        )
        self._minute, self._written, self._sent = minute, whole, None
        self._latest = minute if self._latest is None else max(self._latest, minute)

    def _write_runs(self, now: datetime) -> None:
        """Write the runs that have ended; another process may have had a later one meanwhile."""
        now_s = self._clock()
        for job, run in list(self._runs.items()):
            ended_at = now - timedelta(seconds=now_s - run.ended_s)
            newer = JobRun.objects.filter(job=job, ended_at__gt=ended_at, ended_at__lte=now)
            if not newer.exists():
                self._write_run(job, run, ended_at)
            if self._runs.get(job) is run:
                del self._runs[job]

    def _write_run(self, job: str, run: EndedRun, ended_at: datetime) -> None:
        row = JobRun(
            job=job,
            began_at=ended_at - timedelta(seconds=run.ended_s - run.began_s),
            ended_at=ended_at,
            failure=run.failure,
            last_done_at=ended_at if run.failure == "" else None,
        )
        done = ["last_done_at"] if run.failure == "" else []
        JobRun.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["job"],
            update_fields=["began_at", "ended_at", "failure", *done],
        )

    def _keep_up(self, now: datetime) -> None:
        if self._kept_up_at is None or not timedelta(0) <= now - self._kept_up_at < KEEP_UP_EVERY:
            keep_up(now)
            self._kept_up_at = now

    def _report(self, error: DatabaseFailure) -> None:
        if not self._is_failing:
            log.warning("history_not_written", error=type(error).__name__)
        self._is_failing = True


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _left_of_minute_s(now: datetime) -> float:
    return (_minute_of(now) + MINUTE - now).total_seconds()
