"""How soon after each fault somebody's booking was made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.people.front import Deed


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it was: begun and lifted (monotonic seconds), and from when recovery counts."""

    name: str
    begun_s: float
    lifted_s: float
    counts_from_s: float


def recovery_s(happened: Happened, deeds: Sequence[Deed]) -> float | None:
    """Return how long it took until a booking was answered that was asked for afterwards, or in
    whose time the fault fell; None where there was none."""
    ends = [
        deed.ended_s
        for deed in deeds
        if deed.what == "create" and deed.is_served and deed.ended_s >= happened.counts_from_s
    ]
    return min(ends) - happened.counts_from_s if ends else None
