"""The day it is, as one object for as long as it lasts: what thousands of records hold of it costs
nothing then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime


class Today:
    """The day of what `now` returns, which is aware."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._day = date.min

    def __call__(self) -> date:
        day = self._now().date()
        if day != self._day:
            self._day = day
        return self._day
