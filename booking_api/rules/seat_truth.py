"""How many seats of an exam are left, and whether that is true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

MAX_FRESH: Final = timedelta(hours=24)
"""A count that is older says little of today."""


class Truth(Enum):
    """What is known of a stored count."""

    RIGHT = auto()
    """It is what was counted last, not long ago."""
    OLD = auto()
    """It is what was counted last, and that is long ago."""
    WRITTEN = auto()
    """The desk has written a booking since the last count, and the count with it."""
    DOUBTED = auto()
    """The desk has written a booking since the last count, and has its exam counted anew."""
    WRONG = auto()
    """It is not what was counted last, and the desk has written nothing since."""
    UNREADABLE = auto()
    """It is no number, or less than none."""
    NOT_COUNTED = auto()
    """Nothing is known of any count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCount:
    """So many seats were taken when the bookings were counted, and for whom that was."""

    taken: int
    counted_at: datetime
    who: str


def judge_count(
    stored: int | None,
    last: KnownCount | None,
    written_at: datetime | None,
    now: datetime,
    *,
    is_recount_due: bool = False,
) -> Truth:
    """Return what is known of a stored count, None where it cannot be read. `written_at` is when
    the desk last wrote a booking of the exam and its count, as far as is known; where it could not
    write the count, or somebody has told of a change, a recount is due."""
    if stored is None or stored < 0:
        return Truth.UNREADABLE
    if written_at is not None and (last is None or written_at > last.counted_at):
        return Truth.DOUBTED if is_recount_due else Truth.WRITTEN
    if last is None:
        return Truth.NOT_COUNTED
    if last.taken != stored:
        return Truth.WRONG
    return Truth.RIGHT if now - last.counted_at <= MAX_FRESH else Truth.OLD
