"""The thread behind everything a process does in the background: it takes a step, rests, and so on.

One class for all of them, so that each starts late, outlives its failures, is replaced after a
fork, closes its own database connection, and ends when it is asked to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from django.db import close_old_connections, connection

from hubspot_sync.background.database_errors import is_database_away

STOP_WITHIN_S: Final = 20.0
AFTER_A_FAILURE_S: Final = 2.0

log = structlog.get_logger(__name__)


class Worker:
    """Calls `step` in a daemon thread called `name`, until it is stopped.

    `step` does some of what is due and returns for how many seconds to rest after it; 0 has it
    called again at once. Being woken ends the rest. What `step` raises is logged, and it is called
    again after `AFTER_A_FAILURE_S`.

    The thread rests `first_rest_s` before its first step. Once woken it still waits `gather_s`, so
    that what happens together is done in one step. `finish` is called in the thread after the last
    step. With `starts_when_woken=False` waking does nothing until somebody calls `start`.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        *,
        first_rest_s: float = 0.0,
        gather_s: float = 0.0,
        finish: Callable[[], None] = lambda: None,
        starts_when_woken: bool = True,
        stop_within_s: float = STOP_WITHIN_S,
    ) -> None:
        self._name = name
        self._step = step
        self._first_rest_s = first_rest_s
        self._gather_s = gather_s
        self._finish = finish
        self._starts_when_woken = starts_when_woken
        self._stop_within_s = stop_within_s
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()

    def wake(self) -> None:
        """Have a step taken now; start the thread for it where there is none."""
        if self._starts_when_woken:
            self.start()
        self._wake.set()

    def start(self) -> None:
        """Start the thread, unless it is alive or was stopped. One that died is replaced, and so is
        one that a fork left behind in the parent process."""
        with self._starting:
            alive = self._thread is not None and self._thread.is_alive()
            if alive or self._stopping.is_set():
                return
            # New ones: a fork may have copied the old while another thread held their locks.
            self._wake, self._stopping = threading.Event(), threading.Event()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def begin_stop(self) -> None:
        """Let the step under way be the last; wait for nothing. Nothing starts the thread
        again."""
        with self._starting:
            self._stopping.set()
            self._wake.set()

    def stop(self) -> bool:
        """As `begin_stop`, and wait `stop_within_s` for it; return whether the thread has ended."""
        self.begin_stop()
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout=self._stop_within_s)
        return not thread.is_alive()

    def _run(self) -> None:
        try:
            self._take_steps()
            self._finish()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; it says what happened
            self._report(error)
        finally:
            connection.close()

    def _take_steps(self) -> None:
        rest_s = self._first_rest_s
        while True:
            if self._wake.wait(rest_s) and self._gather_s > 0:
                self._stopping.wait(self._gather_s)
            self._wake.clear()
            if self._stopping.is_set():
                return
            # Before and after, as Django does around a request: a rest may be long.
            close_old_connections()
            rest_s = self._take_step()
            close_old_connections()

    def _take_step(self) -> float:
        try:
            return self._step()
        except Exception as error:  # noqa: BLE001 - a thread nobody waits for must go on
            self._report(error)
            connection.close()
            return AFTER_A_FAILURE_S

    def _report(self, error: Exception) -> None:
        """Say what happened; where the database is away, which all threads say again and again, in
        one line each."""
        said = {"worker": self._name, "error": type(error).__name__}
        trace = None if is_database_away(error) else error
        log.error("background_work_failed", exc_info=trace, **said)
