"""The call log: what was asked, when, how it ended; what tests count."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_CALLS = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call; `at` is its receipt, `status` 0 where the connection was cut."""

    n: int
    at: float
    method: str
    path: str
    operation: str
    object_type: str
    status: int
    inputs: int
    duration_ms: float


class CallLog:
    """The latest calls by number, which is given on receipt; the entry is made at the end. Whoever
    reads the log sees the numbers begin anew where it was cleared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._last = 0
        self._cleared = 0

    def take_number(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def add(self, call: Call) -> None:
        """Keep a call; one that began before the log was cleared is dropped."""
        with self._lock:
            if call.n > self._cleared:
                self._calls.append(replace(call, n=call.n - self._cleared))

    def since(self, n: int) -> dict[str, Any]:
        """The calls with a higher number, in order of receipt, and how many there were in all."""
        with self._lock:
            calls = sorted((each for each in self._calls if each.n > n), key=lambda each: each.n)
            return {"total": len(self._calls), "calls": [_as_dict(each) for each in calls]}

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
            self._cleared = self._last


_FIELDS = tuple(each.name for each in fields(Call))


def _as_dict(call: Call) -> dict[str, Any]:
    """As `asdict`, which copies so carefully that a long log takes seconds."""
    return {name: getattr(call, name) for name in _FIELDS}
