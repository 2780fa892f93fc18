"""The associations: who is linked to whom, kept from both sides, with the type id of each side.

A removed link is remembered with the time of its removal, so that a read told to lag still shows
it. Not safe for threads by itself: the store holds its lock around every call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of an association; `removed_ms` is None while it stands."""

    type_ids: tuple[int, ...]
    added_ms: int
    removed_ms: int | None = None

    def is_visible_at(self, at_ms: int) -> bool:
        return self.added_ms <= at_ms and (self.removed_ms is None or self.removed_ms > at_ms)


class Links:
    """Adjacency by pair of types, then by id."""

    def __init__(self) -> None:
        self._pairs: dict[Pair, dict[str, dict[str, Link]]] = {}

    def add(
        self, pair: Pair, from_id: str, to_id: str, type_ids: tuple[int, ...], at_ms: int
    ) -> bool:
        """Add one direction; returns whether anything is new. Type ids are united."""
        targets = self._pairs.setdefault(pair, {}).setdefault(from_id, {})
        known = targets.get(to_id)
        if known is None or known.removed_ms is not None:
            targets[to_id] = Link(type_ids, at_ms)
            return True
        united = known.type_ids + tuple(each for each in type_ids if each not in known.type_ids)
        targets[to_id] = replace(known, type_ids=united)
        return united != known.type_ids

    def remove(self, pair: Pair, from_id: str, to_id: str, at_ms: int) -> bool:
        """Remove one direction; returns whether it stood."""
        known = self._pairs.get(pair, {}).get(from_id, {}).get(to_id)
        if known is None or known.removed_ms is not None:
            return False
        self._pairs[pair][from_id][to_id] = replace(known, removed_ms=at_ms)
        return True

    def remove_all(self, object_type: str, record_id: str, at_ms: int) -> None:
        """Remove every link of one object, from both sides."""
        for pair in self.pairs_of(object_type):
            for target in self.links_of(pair, record_id):
                self.remove(pair, record_id, target, at_ms)
                self.remove((pair[1], pair[0]), target, record_id, at_ms)

    def links_of(self, pair: Pair, from_id: str) -> dict[str, Link]:
        """All links of one object to objects of the other type, removed ones too."""
        return self._pairs.get(pair, {}).get(from_id, {})

    def pairs_of(self, object_type: str) -> list[Pair]:
        """All pairs that lead from a type."""
        return [pair for pair in self._pairs if pair[0] == object_type]

    def copy(self) -> Links:
        twin = Links()
        twin._pairs = {
            pair: {from_id: dict(targets) for from_id, targets in sources.items()}
            for pair, sources in self._pairs.items()
        }
        return twin
