"""The sandbox's own time: it runs like the wall's and can be moved forward.

Limits, search lag and timestamps all ask this clock, so a test steps over ten seconds without
waiting for them. It never runs backwards, whatever is done to the machine's clock.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Seconds and milliseconds since 1970, and what was added to them."""

    def __init__(self) -> None:
        self._start_s = time.time() - time.monotonic()
        self._ahead_s = 0.0
        self._lock = threading.Lock()

    def now_s(self) -> float:
        return self._start_s + time.monotonic() + self._ahead_s

    def now_ms(self) -> int:
        return int(self.now_s() * 1000)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s(), UTC)

    def advance(self, seconds: float) -> None:
        """Move forward; raises ValueError for a step back."""
        if seconds < 0:
            message = f"the clock does not go back ({seconds} s)"
            raise ValueError(message)
        with self._lock:
            self._ahead_s += seconds


def iso(at_ms: int) -> str:
    """`2026-11-23T22:03:00.123Z`, as HubSpot writes an instant."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
