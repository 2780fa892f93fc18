"""The production server: granian, the one place that says how.

One worker and many blocking threads by default: the locmem cache belongs to one process, and the
number of threads bounds how many requests can gather into one HubSpot batch.
docs/decisions/0001-granian.md has the reasons.
"""

from __future__ import annotations

import threading
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer
from typing_extensions import override

# Longer than a request's deadline (25 s), so that a graceful stop cuts nobody off.
STOP_TIMEOUT_S = 30
STOP_POLL_S = 0.1


class Server(MPServer):
    """granian, whose stop always ends.

    Its own handler (2.8.7) sets an event in the middle of the main thread's wait for that event,
    and its loop may clear it unseen. A signal to the whole group (Ctrl-C, systemd) ends the workers
    at the same moment, which made one stop in three hang. Here the handler only sets a flag.
    """

    @override
    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # it has no types
        threading.Thread(target=self._wake_main_loop_to_stop, daemon=True).start()

    @override
    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        self.interrupt_signal = True
        for worker in self.wrks:
            worker.interrupt_by_parent = True  # or its end is taken for a crash

    def _wake_main_loop_to_stop(self) -> None:
        pause = threading.Event()
        while not pause.wait(STOP_POLL_S):
            if self.interrupt_signal:
                self.main_loop_interrupt.set()


def serve(*, host: str, port: int, workers: int, threads: int) -> None:
    """Serve the API until told to stop; SystemExit then."""
    Server(
        "booking_api.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=workers,
        blocking_threads=threads,
        workers_kill_timeout=STOP_TIMEOUT_S,
        respawn_failed_workers=True,
        # Its one warning is about the number of threads, which is meant.
        log_level=LogLevels.error,
    ).serve()
