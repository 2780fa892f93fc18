"""Jobs that want the desk's lease, done in the desk's own thread, in the order they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from booking_api.desk.journal.lease import HeldLease, LeaseLost

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[HeldLease], Any]
    future: Future[Any]


class Jobs:
    """One desk's. Once it has ended, every job is cancelled."""

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        self._lock = threading.Lock()
        self._has_ended = False

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, work: Callable[[HeldLease], T]) -> Future[T]:
        """Return the future of the work, cancelled where the desk has ended."""
        future: Future[T] = Future()
        with self._lock:
            if self._has_ended:
                future.cancel()
            else:
                self._jobs.append(_Job(work, future))
        return future

    def end(self) -> None:
        """Take no more."""
        with self._lock:
            self._has_ended = True

    def cancel_waiting(self) -> None:
        while self._jobs:
            self._jobs.popleft().future.cancel()

    def do_next(self, lease: HeldLease) -> bool:
        """Do the job that has waited longest; say whether there was one. What it raises is its
        future's; LeaseLost is raised besides."""
        if len(self._jobs) == 0:
            return False
        job = self._jobs.popleft()
        if not job.future.set_running_or_notify_cancel():
            return True
        try:
            job.future.set_result(job.work(lease))
        except LeaseLost as error:
            job.future.set_exception(error)
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for it
            job.future.set_exception(error)
        return True
