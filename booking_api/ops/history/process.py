"""This process's part in the history that the console shows: it counts, and writes a row a minute.

Nothing here may fail or delay what is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache

from booking_api import composition
from booking_api.ops.history.observers import HistoryObservers
from booking_api.ops.history.tally import Tally
from booking_api.ops.history.writing import HistoryWriter
from booking_api.ops.metrics import metrics
from hubspot_sync.background.worker import Worker

FIRST_REST_S = 2.0
STOP_WITHIN_S = 5.0


class History:
    """What counts, and what writes."""

    def __init__(self) -> None:
        tally = Tally()
        self.observers = HistoryObservers(tally)
        self.writer = HistoryWriter(tally, read_shared_clock)
        self._worker: Worker | None = None

    def start(self) -> None:
        """Begin to write, in a process that serves."""
        self._worker = Worker(
            "history",
            self.write,
            first_rest_s=FIRST_REST_S,
            finish=self._write_last,
            stop_within_s=STOP_WITHIN_S,
        )
        self._worker.start()

    def wake(self) -> None:
        """Have it written now, where anything is written."""
        if self._worker is not None:
            self._worker.wake()

    def stop(self) -> None:
        """Write what is left, and no more."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def write(self) -> float:
        """Write what was measured; return for how many seconds to rest."""
        built = composition.built_services()
        if built is not None:
            self.observers.look(built.client.rate_budget.usage())
        return self.writer.take_step()

    def _write_last(self) -> None:
        self.write()


@lru_cache(maxsize=1)
def history() -> History:
    return History()


def read_shared_clock() -> datetime:
    """Return the time that rows are written by; raise Django's database errors."""
    return composition.services().booking.desk_context.now()


def start_history() -> None:
    """Observe what this process will do; called when a server loads the application."""
    observers = history().observers
    composition.observe_calls(observers.observe_call)
    composition.observe_wire(observers.observe_wire)
    composition.observe_webhooks(observers.observe_events, observers.observe_inbox)
    composition.observe_cache(observers.observe_cache, observers.observe_endings)
    composition.observe_desk(observers.observe_desk)


@contextmanager
def running(job: str) -> Iterator[None]:
    """Count what is done inside the block as one run of a job, and keep how it went."""
    try:
        with metrics().jobs.running(job), history().writer.recording(job):
            yield
    finally:
        history().wake()
