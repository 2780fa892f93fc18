"""What an operation cost: time, calls, and how many of them had to wait for one another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

System = Literal["naive", "batched", "cached", "feed"]
SYSTEMS: tuple[System, ...] = get_args(System)
OURS: tuple[System, ...] = ("batched", "cached", "feed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One repetition. `calls` and `round_trips` are those before the answer; `calls_in_all` has
    those of the work that followed, too. `failure` says why there was no answer."""

    took_ms: float
    calls: int
    calls_in_all: int
    round_trips: int
    failure: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What an operation cost one of the systems, of `n` repetitions: times are the 50th and the
    95th percentile; `own_ms` is the first of them without the time that HubSpot took. Calls are
    the most that were seen, round trips their median: on a busy machine calls that are sent
    together may look as if one had waited for the other."""

    operation: str
    system: System
    n: int
    p50_ms: float
    p95_ms: float
    own_ms: float
    calls: int
    calls_in_all: int
    round_trips: int
    failure: str = ""


def sum_up(operation: str, system: System, samples: Sequence[Sample], latency_ms: float) -> Cost:
    """Return the cost of these repetitions, one at least; where one failed they all count as
    failed."""
    took_ms = sorted(sample.took_ms for sample in samples)
    round_trips = statistics.median_low(sample.round_trips for sample in samples)
    p50_ms = statistics.median(took_ms)
    return Cost(
        operation=operation,
        system=system,
        n=len(samples),
        p50_ms=p50_ms,
        p95_ms=took_ms[math.ceil(len(took_ms) * 0.95) - 1],
        own_ms=p50_ms - round_trips * latency_ms,
        calls=max(sample.calls for sample in samples),
        calls_in_all=max(sample.calls_in_all for sample in samples),
        round_trips=round_trips,
        failure=next((sample.failure for sample in samples if sample.failure != ""), ""),
    )


def count_round_trips(calls: Iterable[dict[str, Any]]) -> int:
    """Return the longest chain of calls of the sandbox's log, each begun after the one before had
    ended. On a busy machine it may be too long."""
    spans = [(call["at"], call["at"] + call["duration_ms"] / 1000) for call in calls]
    round_trips, last_end = 0, float("-inf")
    for begun, ended in sorted(spans, key=lambda span: span[1]):
        if begun >= last_end:
            round_trips, last_end = round_trips + 1, ended
    return round_trips
