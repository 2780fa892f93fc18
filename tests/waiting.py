"""Waiting for a condition, with patience that a slow machine does not exhaust."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WAIT_LIMIT_S = 30.0


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail after a limit."""
    pause = threading.Event()
    until_s = time.monotonic() + WAIT_LIMIT_S
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        pause.wait(0.005)
