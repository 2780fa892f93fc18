"""A request's remaining time, passed down to every call made for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Monotonic = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant on a monotonic clock after which nobody waits for the answer any more."""

    at_s: float
    clock: Monotonic = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Monotonic = time.monotonic) -> Deadline:
        return cls(at_s=clock() + seconds, clock=clock)

    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at_s - self.clock())

    @property
    def passed(self) -> bool:
        return self.clock() >= self.at_s

    def later_of(self, other: Deadline) -> Deadline:
        return self if self.at_s >= other.at_s else other
