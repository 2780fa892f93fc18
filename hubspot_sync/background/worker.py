"""A thread that does what is due whenever it is woken, and looks for left work now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from django.db import close_old_connections, connection

STOP_WITHIN_S: Final = 20.0
AFTER_A_FAILURE_S: Final = 2.0

log = structlog.get_logger(__name__)


class Worker:
    """`work` does some of what is due and says whether there was anything; it is called again until
    it says no. Then the thread rests until it is woken, `look_again_s` seconds at most. The thread
    starts when it is first woken or told to."""

    def __init__(self, name: str, work: Callable[[], bool], look_again_s: float) -> None:
        self._name = name
        self._work = work
        self._look_again_s = look_again_s
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        self.start()
        self._wake.set()

    def start(self) -> None:
        with self._starting:
            alive = self._thread is not None and self._thread.is_alive()
            if not alive and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Let what is under way end, and end."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=STOP_WITHIN_S)

    def _loop(self) -> None:
        rest_s = 0.0
        while not self._stopping.is_set():
            self._wake.wait(rest_s)
            self._wake.clear()
            rest_s = self._worked_for()
            close_old_connections()
        connection.close()

    def _worked_for(self) -> float:
        """Work until nothing is due; return how long to rest, in seconds."""
        try:
            while not self._stopping.is_set() and self._work():
                pass
        except Exception:
            # A thread nobody waits for: it must go on, and say what happened.
            log.exception("background_work_failed", worker=self._name)
            connection.close()
            return AFTER_A_FAILURE_S
        return self._look_again_s
