"""The thread that applies the inbox: one in each process that serves, started at first use.

It is woken by a request that stored something; it waits a moment then, because what happens together
in HubSpot comes in several events. It also looks by itself for what other processes and crashes left.
Its own failures are logged and end nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection

logger = logging.getLogger(__name__)

# So a flood costs HubSpot a few calls a second; measured in `make bench`.
GATHER_S = 1.0
LOOK_S = 5.0


class InboxWorker:
    """`apply` applies all that waits; it is called from the thread alone."""

    def __init__(
        self, apply: Callable[[], object], *, gather_s: float = GATHER_S, look_s: float = LOOK_S
    ) -> None:
        self._apply = apply
        self._gather_s = gather_s
        self._look_s = look_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._wanted = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread, where this process has none yet; a fork leaves it behind."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._wanted, self._stopped = threading.Event(), threading.Event()
            self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
            self._pid = os.getpid()
            self._thread.start()

    def wake(self) -> None:
        """Have what was just stored applied soon; does nothing where the thread is not running."""
        self._wanted.set()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the thread after what it is doing; does nothing the second time."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopped.set()
            self._wanted.set()
        if thread is not None and self._pid == os.getpid():
            thread.join(timeout_s)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._round()
            if self._wanted.wait(self._look_s):
                self._stopped.wait(self._gather_s)
                self._wanted.clear()
        connection.close()

    def _round(self) -> None:
        close_old_connections()
        try:
            self._apply()
        except DatabaseFailure:
            logger.exception("The inbox cannot be read; it is tried again")
            connection.close()
        except Exception:
            logger.exception("The inbox cannot be applied; it is tried again")
