"""Numbers of the history for those who show them: None where the history is not known."""

from __future__ import annotations

from booking_api.admin.now.words import write_share
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import Measured
from booking_api.ops.now.picture import Picture


def last_hour(picture: Picture) -> Measured | None:
    return None if picture.history is None else picture.history.hour


def last_day(picture: Picture) -> Measured | None:
    return None if picture.history is None else picture.history.day


def total(measured: Measured | None, *words: str) -> int | None:
    return None if measured is None else measured.total(*words)


def peak(measured: Measured | None, key: str) -> float:
    return 0.0 if measured is None else measured.peak(key)


def hit_rate(measured: Measured, *family: str) -> str:
    hits = measured.total(keys.HITS, *family)
    return write_share(hits, hits + measured.total(keys.MISSES, *family))
