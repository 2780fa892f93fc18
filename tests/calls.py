"""What a request cost, read off the sandbox's own log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LATENCIES_MS = (100, 200, 400, 800)
"""How far away HubSpot is put, in turn, until a depth is seen as small as it should be."""


def depth(calls: Sequence[dict[str, Any]]) -> int:
    """Return the number of round trips that had to wait for one another.

    Calls that overlap in time were made together; with the sandbox's latency far above what we need
    between two calls, the longest chain of calls, each begun after the one before ended, is the
    depth. A busy machine may start one of two together so late that the other has ended: what is
    measured is then too much, and never too little.
    """
    spans = sorted((call["at"], call["at"] + call["duration_ms"] / 1000) for call in calls)
    rounds, last_end = 0, float("-inf")
    for begun, ended in sorted(spans, key=lambda span: span[1]):
        if begun >= last_end:
            rounds, last_end = rounds + 1, ended
    return rounds
