"""For how long a file that cannot be had is waited for.

The journal goes on behind it, and nothing is confirmed meanwhile. One that is none, or that does
not come while others do, is broken. Where no file comes, their server is away: that passes, and to
pass over one file after another would lose what they say, so it is waited for longer, and each time
longer before the next is given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubspot_sync.errors import FileUnreadable, HubSpotError
from hubspot_sync.feed.intervals import GrowingInterval
from hubspot_sync.wire.deadlines import Monotonic

MAX_BROKEN_S: Final = 60.0
MAX_AWAY_S: Final = 900.0
MAX_BETWEEN_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be had, and why; `others_come` says that some asked for with it did."""

    offset: str
    error: HubSpotError
    others_come: bool


@dataclass(slots=True)
class _Waiting:
    """Since when the file that is next is waited for, and has been broken; None while it is away
    with all others."""

    offset: str
    since_s: float
    broken_since_s: float | None = None


class FileTrouble:
    """The trouble with the file that is next, if any."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._next: _Waiting | None = None
        self._since_away = GrowingInterval(first_s=MAX_AWAY_S, max_s=MAX_BETWEEN_S, clock=clock)

    def is_given_up(self, failed: FailedFile) -> bool:
        """Take down that a file could not be had; say whether that has been so for too long."""
        now_s = self._clock()
        if self._next is None or self._next.offset != failed.offset:
            self._next = _Waiting(failed.offset, now_s)
        if not (isinstance(failed.error, FileUnreadable) or failed.others_come):
            self._next.broken_since_s = None
            return now_s - self._next.since_s >= MAX_AWAY_S and self._since_away.is_over
        if self._next.broken_since_s is None:
            self._next.broken_since_s = now_s
        return now_s - self._next.broken_since_s >= MAX_BROKEN_S

    def note_passed_over(self) -> None:
        """Take down that it was passed over."""
        if self._next is not None and self._next.broken_since_s is None:
            self._since_away.begin()
        self.end()

    def end(self) -> None:
        """Take down that files come."""
        self._next = None
