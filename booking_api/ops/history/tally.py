"""What this process has measured since it was last written down.

Whoever serves a request adds to it, so adding is quick, and nothing here asks a database.
"""

from __future__ import annotations

import threading
from typing import Final

from booking_api.ops.history.measured import Measured, bound_key, join_key

CALLS: Final = "calls"
FAILED_CALLS: Final = "failed calls"
CALLS_TOOK_MS: Final = "calls took ms"
CALL_TOOK_S: Final = "call took s"
LIMITED: Final = "limited"
LONG_WAITS: Final = "long waits"
WAITED_MS: Final = "waited ms"
BREAKER_OPENED: Final = "breaker opened"
BREAKER: Final = "breaker"
PAUSES: Final = "pauses"
WINDOW_SHARE: Final = "window share"
REQUESTS: Final = "requests"
ASKED: Final = "asked"
DESK: Final = "desk"
HITS: Final = "hits"
WARMED_HITS: Final = "warmed hits"
MISSES: Final = "misses"
DRIFT: Final = "drift"
EVENTS: Final = "events"
DELAYS: Final = "delays"
DELAY_S: Final = "delay s"

MAX_REMEMBERED: Final = 1_000
"""Keys that need not be put together again: the same few are counted all the time."""


class Tally:
    """Safe to share between threads; never holds more than so many keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, int] = {}
        self._peaks: dict[str, float] = {}
        self._keys: dict[tuple[str, ...], str] = {}

    def add(self, *words: str, number: int = 1) -> None:
        """Count so many of what these words say."""
        if number == 0:
            return
        with self._lock:
            key, sums = self._keys.get(words) or self._join(words), self._sums
            if key not in sums:
                key = bound_key(key, sums)
            sums[key] = sums.get(key, 0) + number

    def note_peak(self, *words: str, value: float) -> None:
        """Remember the value if it is the largest so far."""
        with self._lock:
            key = bound_key(self._keys.get(words) or self._join(words), self._peaks)
            self._peaks[key] = max(self._peaks.get(key, value), value)

    def take(self) -> Measured:
        """Return all of it and begin anew."""
        with self._lock:
            taken = Measured(sums=self._sums, peaks=self._peaks)
            self._sums, self._peaks = {}, {}
        return taken

    def _join(self, words: tuple[str, ...]) -> str:
        key = join_key(*words)
        if len(self._keys) < MAX_REMEMBERED:
            self._keys[words] = key
        return key
