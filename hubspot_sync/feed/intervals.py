"""How soon what is costly may be done again, for a cause that may last."""

from __future__ import annotations

from typing import Final

from hubspot_sync.wire.deadlines import Monotonic

FACTOR: Final = 2
SOON: Final = 10
"""What is done again within so many times the interval, is done again soon."""


class GrowingInterval:
    """`first_s` seconds after something was done; where it is done soon again, each time twice as
    long, `max_s` at most. Over before the first time."""

    def __init__(self, *, first_s: float, max_s: float, clock: Monotonic) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._clock = clock
        self._length_s = first_s
        self._began_s: float | None = None

    @property
    def is_over(self) -> bool:
        return self._began_s is None or self._clock() - self._began_s >= self._length_s

    def begin(self) -> None:
        """Begin anew: it was done just now."""
        now_s = self._clock()
        is_soon = self._began_s is not None and now_s - self._began_s < SOON * self._length_s
        self._length_s = min(FACTOR * self._length_s, self._max_s) if is_soon else self._first_s
        self._began_s = now_s
