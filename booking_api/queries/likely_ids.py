"""Ids that earlier answers had, by what was asked for: what is read beside a question that says
which ids there are, so that the two are one round trip and not two.

They are never an answer: what the question says now decides, and what is read of them is as current
as any other read. One that is no longer wanted costs its place in a batch, one that is new its own
call. So they are kept however old they are, and no invalidation drops them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_IDS: Final = 20_000
"""Of a kind; some two megabytes. A portal of 200 exams with 50 bookings each has half as many."""


class LikelyIds:
    """One process's memory of ids by name; those noted longest ago make room for others."""

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        self._lock = threading.Lock()
        self._by_name: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._count = 0

    def note(self, name: str, ids: tuple[str, ...]) -> None:
        """Remember these ids in place of those the name had."""
        with self._lock:
            self._count += len(ids) - len(self._by_name.pop(name, ()))
            if len(ids) > 0:
                self._by_name[name] = ids
            while self._count > self._max_ids:
                _, forgotten = self._by_name.popitem(last=False)
                self._count -= len(forgotten)

    def forget(self) -> None:
        """Know no more than a process that has answered nothing yet."""
        with self._lock:
            self._by_name.clear()
            self._count = 0

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Return all ids of these names."""
        with self._lock:
            return frozenset(each for name in names for each in self._by_name.get(name, ()))


@dataclass(frozen=True, slots=True)
class LikelyExams:
    """The exams of a mock type, by its slug, and the bookings of an exam, by its id."""

    exams: LikelyIds = field(default_factory=LikelyIds)
    bookings: LikelyIds = field(default_factory=LikelyIds)
