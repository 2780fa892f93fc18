"""A run in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.judge.rates import find_most_in_window
from tests.load.runs import Run
from tests.load.traffic import Deed

MIB = 1024**2
TOO_MANY = 429
EXPECTED: Mapping[tuple[str, int], Sequence[str]] = {
    ("create", 400): ("EXAM_FULL", "DUPLICATE_BOOKING", "INSUFFICIENT_CREDITS"),
}
"""Refusals that are right: of whoever comes too late, or has it already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How long so many answers of a kind took, in seconds."""

    answers: int
    average_s: float
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """`times` by what was asked, those that were served alone; `answers` all of them by kind, and
    `errors` those that nobody expects. `hit_rate` is the share of reads that the cache answered.
    `memory_mib` is, for each process, what it held at first, at most and at last. `lifted` says
    that HubSpot had no limits in this run."""

    system: str
    seconds: float
    requests: int
    unanswered: int
    times: Mapping[str, Times]
    answers: Mapping[str, int]
    errors: Mapping[str, int]
    hit_rate: float
    calls: int
    most_in_window: int
    limited: int
    memory_mib: Sequence[tuple[float, float, float]]
    numbers: Mapping[str, float]
    broken: Sequence[str]
    lifted: bool = False

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def errors_count(self) -> int:
        return sum(self.errors.values())


def find_figures(run: Run) -> Figures:
    deeds = run.diary.deeds
    reads = [deed for deed in deeds if deed.cache in ("hit", "miss")]
    kinds = sorted({deed.what for deed in deeds})
    return Figures(
        system=run.system,
        seconds=run.diary.seconds,
        requests=len(deeds),
        unanswered=run.diary.asked - len(deeds),
        times={
            what: find_times([deed.took_s for deed in deeds if deed.what == what]) for what in kinds
        },
        answers=dict(Counter(map(name_kind, deeds))),
        errors=dict(Counter(name_kind(deed) for deed in deeds if not is_expected(deed))),
        hit_rate=sum(deed.cache == "hit" for deed in reads) / len(reads) if reads else 0.0,
        calls=len(run.calls),
        most_in_window=find_most_in_window(float(call["at"]) for call in run.calls),
        limited=sum(call["status"] == TOO_MANY for call in run.calls),
        memory_mib=find_memory(run.memory),
        numbers=run.numbers,
        broken=run.broken,
        lifted=run.lifted,
    )


def name_kind(deed: Deed) -> str:
    return f"{deed.what} {deed.status} {deed.code}".strip()


def is_expected(deed: Deed) -> bool:
    return deed.is_served or deed.code in EXPECTED.get((deed.what, deed.status), ())


def find_times(took_s: Sequence[float]) -> Times:
    """Return the figures of at least one answer."""
    ordered = sorted(took_s)
    return Times(
        answers=len(ordered),
        average_s=sum(ordered) / len(ordered),
        p50_s=find_share(ordered, 0.50),
        p95_s=find_share(ordered, 0.95),
        p99_s=find_share(ordered, 0.99),
    )


def find_share(ordered: Sequence[float], share: float) -> float:
    """Return the least value that so large a share of them does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def find_memory(
    samples: Sequence[tuple[float, Mapping[int, int]]],
) -> list[tuple[float, float, float]]:
    """Return of each process that was there to the end what it held, in MiB."""
    if not samples:
        return []
    found = []
    for process in samples[-1][1]:
        held = [sizes[process] / MIB for _, sizes in samples if process in sizes]
        found.append((held[0], max(held), held[-1]))
    return found
