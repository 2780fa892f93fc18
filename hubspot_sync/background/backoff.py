"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_DOUBLINGS: Final = 16


def backoff(attempts: int, *, first_s: float, max_s: float) -> timedelta:
    """Return the wait after so many failed attempts: `first_s` after one, then twice as long each
    time, `max_s` at most."""
    doublings = min(max(attempts - 1, 0), MAX_DOUBLINGS)
    return timedelta(seconds=min(first_s * 2**doublings, max_s))
