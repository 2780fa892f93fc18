"""What was measured in a span of time: sums by key, and the most that was seen.

Keys are words of ours with `|` between them, from closed lists (endpoints, object types, families,
codes), so there are few; of whatever is too much, the rest is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from booking_api.desk.journal.stored_json import read_stored, to_stored

SEPARATOR: Final = "|"
OTHER: Final = "other"
MAX_KEYS: Final = 400
"""Of sums, and of peaks, in one row. A portal of four types of objects makes about a hundred."""
MAX_RESTS: Final = 50
"""Keys of what is too much, beside those."""
MAX_KEY_CHARS: Final = 120
MAX_SUM: Final = 2**53
"""What JavaScript and every database still count exactly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """`sums` say how often, `peaks` how much at most. Two of them, of other times or processes,
    together make one."""

    sums: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return len(self.sums) == 0 and len(self.peaks) == 0

    def total(self, *words: str) -> int:
        """Return the sum of all that begin with these words."""
        return sum(self.by_rest(*words).values())

    def by_rest(self, *words: str) -> dict[str, int]:
        """Return the sums that begin with these words, by the words that follow."""
        key = SEPARATOR.join(words)
        start = f"{key}{SEPARATOR}"
        found = {name[len(start) :]: n for name, n in self.sums.items() if name.startswith(start)}
        return found | ({"": self.sums[key]} if key in self.sums else {})

    def peak(self, key: str) -> float:
        return self.peaks.get(key, 0.0)

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> Measured:
        """Raises NotUnderstood."""
        return read_stored(stored, cls)


NOTHING: Final = Measured()


def add_up(parts: Iterable[Measured]) -> Measured:
    """Return all of them as one, within bounds."""
    sums: dict[str, int] = {}
    peaks: dict[str, float] = {}
    for part in parts:
        for key, number in part.sums.items():
            name = bound_key(key, sums)
            sums[name] = min(sums.get(name, 0) + number, MAX_SUM)
        for key, value in part.peaks.items():
            name = bound_key(key, peaks)
            peaks[name] = max(peaks.get(name, value), value)
    return Measured(sums=sums, peaks=peaks)


def bound_key(key: str, known: Mapping[str, object]) -> str:
    """Return the key; where there are too many, or it is too long, that of the rest of its kind, or
    of all the rest."""
    if key in known or (len(known) < MAX_KEYS and len(key) <= MAX_KEY_CHARS):
        return key
    rest = SEPARATOR.join((key.partition(SEPARATOR)[0][:MAX_KEY_CHARS], OTHER))
    return rest if rest in known or len(known) < MAX_KEYS + MAX_RESTS else OTHER


def join_key(*words: str) -> str:
    """Return a key; a separator inside of a word is none."""
    return SEPARATOR.join(word.replace(SEPARATOR, "/") for word in words)
