"""A worker ends with the process that started it.

Whoever starts the server anew after its main process was killed finds the port taken, and two desks
where one is meant, for as long as workers live on that nobody looks after. Asking who the parent is
works on every system; a signal at the parent's death (prctl) on Linux alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Final

import structlog

LOOK_EVERY_S: Final = 0.5
MAX_END_S: Final = 30.0
"""As long as a graceful stop may take."""

log = structlog.get_logger(__name__)


def end_with_parent() -> None:
    """Have this process stop, as it is told to stop, when its parent has ended; do nothing where
    it is nobody's worker."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    threading.Thread(target=_watch, args=(parent.pid,), name="parent", daemon=True).start()


def _watch(parent_pid: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent_pid:
        pause.wait(LOOK_EVERY_S)
    log.warning("parent_ended", parent=parent_pid)
    os.kill(os.getpid(), signal.SIGTERM)
    pause.wait(MAX_END_S)
    os._exit(1)
