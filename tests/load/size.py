"""How large a run is."""

from __future__ import annotations

from dataclasses import dataclass

QUICK_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """`quick` is a quarter of everything; `soak_s` is asked for, or the usual."""

    quick: bool = False
    soak_s: float = 0.0

    def cut(self, usual: float, quick: float | None = None) -> float:
        """Return the usual number, or what it is in a quick run."""
        if not self.quick:
            return usual
        return usual * QUICK_SHARE if quick is None else quick

    def count(self, usual: int, quick: int | None = None) -> int:
        return round(self.cut(usual, quick))
