"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import datetime, timedelta

from booking_api.composition import Clocks


class SteeredClock:
    """Starts at an aware instant; entries of the cache age by the same seconds."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._passed_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def go_to(self, passed_s: float) -> None:
        """Move to so many seconds after the start."""
        self._passed_s = passed_s

    def clocks(self) -> Clocks:
        return Clocks(now=self.now, monotonic=self.monotonic)
