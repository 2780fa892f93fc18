"""What a judge says of a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one promise; `broken` is a sentence for each time it was."""

    promise: str
    tried: int
    broken: Sequence[str]

    @property
    def holds(self) -> bool:
        return len(self.broken) == 0
