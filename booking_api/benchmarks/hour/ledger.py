"""What came of each request, by whether the same was asked before in that hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cache_layer.counters import Count, Counted, Tally

EDITED = "edited since"
NOTHING_MISSED = "nothing missed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Of some kind of request: how many; how many of them were asked for the `first` time; of the
    others the `hits`, answered without a call to HubSpot; how many of the others had been `edited`,
    so that their answer was another than before; and the hits among those that had not."""

    asked: int = 0
    first: int = 0
    hits: int = 0
    edited: int = 0
    unedited_hits: int = 0

    @property
    def rate(self) -> float:
        return self.hits / self.asked

    @property
    def ceiling(self) -> float:
        """The share of those that were asked before: no cache answers the others."""
        return 1 - self.first / self.asked

    @property
    def again_rate(self) -> float:
        """The share of hits among those asked before."""
        return self.hits / (self.asked - self.first)

    @property
    def unedited_rate(self) -> float:
        """The same among those whose answer was still the one given before."""
        return self.unedited_hits / (self.asked - self.first - self.edited)


def sum_up(parts: Iterable[Asked]) -> Asked:
    """Return all kinds as one."""
    counted = list(parts)
    return Asked(
        asked=sum(part.asked for part in counted),
        first=sum(part.first for part in counted),
        hits=sum(part.hits for part in counted),
        edited=sum(part.edited for part in counted),
        unedited_hits=sum(part.unedited_hits for part in counted),
    )


@dataclass(slots=True)
class Ledger:
    """One hour's. The cache's counters are to tell `note_tallies`. `lost` has the requests asked
    before that took calls, by kind and why."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    _rights: dict[Hashable, Any] = field(default_factory=dict)
    _missed: set[Tally] = field(default_factory=set)

    def note_tallies(self, tallies: Counted) -> None:
        self._missed.update(tally for tally, _ in tallies if tally.counted is Count.MISSES)

    def begin(self) -> None:
        """A request comes: what is missed from now on is missed for it."""
        self._missed.clear()

    def note(self, kind: str, identity: Hashable, right: Any, calls: int) -> None:
        """A request of some kind was answered, with so many calls; `right` is what was right to
        say."""
        counted, before = self.counts.setdefault(kind, Counter()), self._rights.get(identity)
        self._rights[identity] = right
        counted["asked"] += 1
        if before is None:
            counted["first"] += 1
            return
        is_edited, is_hit = before != right, calls == 0
        counted["edited"] += is_edited
        counted["hits"] += is_hit
        counted["unedited_hits"] += is_hit and not is_edited
        if not is_hit:
            self.lost[kind, EDITED if is_edited else self._reason()] += 1

    def asked(self) -> dict[str, Asked]:
        return {
            kind: Asked(
                asked=counted["asked"],
                first=counted["first"],
                hits=counted["hits"],
                edited=counted["edited"],
                unedited_hits=counted["unedited_hits"],
            )
            for kind, counted in sorted(self.counts.items())
        }

    def _reason(self) -> str:
        reasons = sorted(f"{tally.family} {tally.detail}" for tally in self._missed)
        return ", ".join(reasons) or NOTHING_MISSED
