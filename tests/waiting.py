"""Waiting for a condition, with patience that a slow machine does not exhaust."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WAIT_LIMIT_S = 30.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.005, 0.05


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail after a limit."""
    pause = threading.Event()
    until_s = time.monotonic() + WAIT_LIMIT_S
    pause_s = FIRST_PAUSE_S
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        # Longer each time: looking costs those who are waited for.
        pause.wait(pause_s)
        pause_s = min(pause_s * 1.3, MAX_PAUSE_S)
