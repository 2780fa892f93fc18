"""Waiting for a condition, with patience that a slow machine does not exhaust."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WAIT_LIMIT_S = 30.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.005, 0.05
LOOKS_TO_PAUSE, MAX_LONG_PAUSE_S = 3, 0.5
"""How many times as long as a look took the next one is waited for, at most: some ask a server for
a page, or start a process."""


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail after a limit."""
    pause = threading.Event()
    until_s = time.monotonic() + WAIT_LIMIT_S
    pause_s = FIRST_PAUSE_S
    looked_s = time.monotonic()
    while not condition():
        now_s = time.monotonic()
        assert now_s < until_s, "waited too long"
        # Longer each time: looking costs those who are waited for.
        long_pause_s = min((now_s - looked_s) * LOOKS_TO_PAUSE, MAX_LONG_PAUSE_S)
        pause.wait(max(pause_s, long_pause_s))
        pause_s = min(pause_s * 1.3, MAX_PAUSE_S)
        looked_s = time.monotonic()
