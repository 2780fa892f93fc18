"""How many calls HubSpot had in its window."""

from __future__ import annotations

from collections.abc import Iterable

WINDOW_S = 10.0


def find_most_in_window(times_s: Iterable[float]) -> int:
    """Return the most that came in any window, of these times in seconds."""
    times = sorted(times_s)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most
