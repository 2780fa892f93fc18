"""How long the thread at work may wait for the database.

A server may fall silent while its kernel, or a proxy, still acknowledges what it is sent: no
time-out of TCP notices that. So whoever waits says how long it can: a request until its deadline,
a worker for so many seconds each time; and who says nothing waits `MAX_WAIT_S` each time, since a
thread that waits for ever does nobody any good. `postgres/connections.py` goes by it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_WAIT_S: Final = 12.0
"""More than the server's own limit for a statement, which leaves the connection usable."""


class _Limits(threading.local):
    until_s: float | None = None
    each_s: float | None = MAX_WAIT_S


_limits = _Limits()


def longest_wait_s() -> float | None:
    """Return how long this thread may wait now, in seconds; 0 where its time is over, None where
    nothing limits it."""
    each_s, until_s = _limits.each_s, _limits.until_s
    if until_s is None:
        return each_s
    left_s = max(0.0, until_s - time.monotonic())
    return left_s if each_s is None else min(left_s, each_s)


class WaitingUntil:
    """Inside its block this thread waits until an instant of `time.monotonic` at most; an earlier
    one that was set before stays."""

    __slots__ = ("_before", "_until_s")

    def __init__(self, until_s: float) -> None:
        self._until_s = until_s

    def __enter__(self) -> None:
        before = self._before = _limits.until_s
        _limits.until_s = self._until_s if before is None else min(self._until_s, before)

    def __exit__(self, *_: object) -> None:
        _limits.until_s = self._before


@contextmanager
def waiting_at_most(each_s: float) -> Iterator[None]:
    """Inside the block no wait of this thread lasts longer than so many seconds; a shorter limit
    that was set before stays."""
    before = _limits.each_s
    _limits.each_s = each_s if before is None else min(each_s, before)
    try:
        yield
    finally:
        _limits.each_s = before


@contextmanager
def waiting_without_limit() -> Iterator[None]:
    """Inside the block this thread waits for as long as it takes: a migration does."""
    before = (_limits.until_s, _limits.each_s)
    _limits.until_s = _limits.each_s = None
    try:
        yield
    finally:
        _limits.until_s, _limits.each_s = before
