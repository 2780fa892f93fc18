"""What happens in an hour: who asks for what and when, and what a person edits in HubSpot.

Students come by Zipf's law, again and again, and ask for several things in a visit, some seconds
apart. The same seed gives the same hour. Edits name what is edited; `portal_state.py` knows how.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

HOUR_S = 3600.0
MEAN_PAUSE_S = 3.0
RequestKind = Literal["list", "available", "realtime", "detail", "credits"]
EditKind = Literal["credits", "name", "cancel", "book", "archive", "capacity", "move", "switch"]

# Weights: a frontend asks for the list whenever its page is shown.
MIX: dict[RequestKind, int] = {
    "list": 40,
    "available": 20,
    "realtime": 15,
    "detail": 10,
    "credits": 15,
}
LISTS: dict[tuple[str, int, int], int] = {
    ("all", 1, 20): 80,
    ("upcoming", 1, 20): 12,
    ("past", 1, 20): 3,
    ("cancelled", 1, 20): 1,
    ("all", 1, 3): 2,
    ("all", 2, 3): 2,
}
EDITS: dict[EditKind, int] = {
    "credits": 25,
    "name": 5,
    "cancel": 15,
    "book": 25,
    "archive": 5,
    "capacity": 15,
    "move": 5,
    "switch": 5,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request by the student of this rank; `choice` picks the page, the type or the booking."""

    at_s: float
    student: int
    asked: RequestKind
    choice: float


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit that concerns the student and the exam of these ranks."""

    at_s: float
    student: int
    exam: int
    edited: EditKind
    choice: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much happens; `visit` is the mean number of requests in a visit, 1 for none of it."""

    requests: int = 5_000
    students: int = 500
    exams: int = 40
    edited_share: float = 0.03
    visit: int = 24
    zipf: float = 1.2


def plan_hour(size: Size, chance: random.Random) -> list[Request | Edit]:
    """Return the hour in order of time."""
    requests = sorted(
        itertools.islice(_requests(size, chance), size.requests), key=lambda each: each.at_s
    )
    edits = [
        Edit(
            at_s=chance.uniform(0, HOUR_S),
            student=_ranked(size.students, size.zipf, chance),
            exam=_ranked(size.exams, size.zipf, chance),
            edited=_weighted(EDITS, chance),
            choice=chance.random(),
        )
        for _ in range(round(size.requests * size.edited_share))
    ]
    return sorted([*requests, *edits], key=lambda each: each.at_s)


def _requests(size: Size, chance: random.Random) -> Iterator[Request]:
    while True:
        student = _ranked(size.students, size.zipf, chance)
        at_s = chance.uniform(0, HOUR_S)
        for number in range(chance.randint(1, 2 * size.visit - 1)):
            # Whoever comes opens the list first.
            asked: RequestKind = (
                "list" if number == 0 and size.visit > 1 else _weighted(MIX, chance)
            )
            yield Request(at_s % HOUR_S, student, asked, chance.random())
            at_s += min(30.0, chance.expovariate(1 / MEAN_PAUSE_S))


def _ranked(number: int, exponent: float, chance: random.Random) -> int:
    weights = _zipf(number, exponent)
    return chance.choices(range(number), cum_weights=weights)[0]


def _zipf(number: int, exponent: float) -> Sequence[float]:
    return list(itertools.accumulate(1 / rank**exponent for rank in range(1, number + 1)))


def _weighted(weights: dict[T, int], chance: random.Random) -> T:
    return chance.choices(list(weights), weights=list(weights.values()))[0]
