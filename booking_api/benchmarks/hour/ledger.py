"""What came of each request, by whether the same was asked before in that hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from cache_layer.counters import Count, Tally

OTHER_ANSWER = "the answer is another"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Asked:
    """Of one kind of request: how many; how many of them were asked for the first time; how many
    of the others were answered without a call; and how many had another answer than before.
    `unchanged_hits` are the hits among those whose answer was still the same."""

    asked: int = 0
    first: int = 0
    hits: int = 0
    changed: int = 0
    unchanged_hits: int = 0

    @property
    def ceiling(self) -> float:
        """The share of those that were asked before: nothing finds the others in a cache."""
        return 1 - self.first / self.asked

    @property
    def rate(self) -> float:
        return self.hits / self.asked

    @property
    def again_rate(self) -> float:
        """The share of hits among those asked before."""
        return self.hits / (self.asked - self.first)

    @property
    def unchanged_rate(self) -> float:
        """The same among those whose answer had not changed since."""
        return self.unchanged_hits / (self.asked - self.first - self.changed)


@dataclass(slots=True)
class Ledger:
    """One hour's. The cache's counters are to tell `note_tally`."""

    answers: dict[Hashable, Any] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    _missed: list[Tally] = field(default_factory=list)

    def note_tally(self, tally: Tally, number: int) -> None:  # noqa: ARG002 - a cache's observer
        if tally.count is Count.MISSES:
            self._missed.append(tally)

    def begin(self) -> None:
        """A request comes: what is missed from now on is missed for it."""
        self._missed.clear()

    def note(self, kind: str, identity: Hashable, right: Any, calls: int) -> None:
        """A request of some kind has been answered, with so many calls."""
        counted = self.counts.setdefault(kind, Counter())
        counted["asked"] += 1
        if identity not in self.answers:
            counted["first"] += 1
        else:
            is_same, is_hit = self.answers[identity] == right, calls == 0
            counted["changed"] += not is_same
            counted["hits"] += is_hit
            counted["unchanged_hits"] += is_hit and is_same
            if not is_hit:
                self.lost[kind, self._reason() if is_same else OTHER_ANSWER] += 1
        self.answers[identity] = right

    def asked(self) -> dict[str, Asked]:
        return {kind: Asked(**counted) for kind, counted in self.counts.items()}

    def _reason(self) -> str:
        reasons = sorted({f"{tally.family} {tally.detail}" for tally in self._missed})
        return ", ".join(reasons) or UNKNOWN
