"""What a backend knows of the change feed: its epoch, and until when it has confirmed.

An *epoch* is a time through which the feed has missed nothing. It belongs to the backend's
generation and ends with it. In it the feed *confirms* up to an instant of the backend's own clock:
whatever changed before that has been told to the cache. The one who confirms has a *term*, the
fencing number of the feed's lease; whoever comes with a lower one than was seen is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The proof at one moment, in milliseconds of the backend's clock.

    `covered` are the families of which the feed tells every change. Confirmed up to `confirmed_ms`,
    None before the first time in an epoch, the proof lapses after `lapses_ms`."""

    epoch: str = ""
    covered: frozenset[str] = frozenset()
    confirmed_ms: int | None = None
    lapses_ms: int = 0
    term: int = 0

    def holds_at(self, now_ms: int) -> bool:
        """Say whether there is proof now; not before it was confirmed, should a clock go back."""
        return self.confirmed_ms is not None and self.confirmed_ms <= now_ms <= self.lapses_ms

    def begun(self, epoch: str, covered: Collection[str], term: int) -> Proof | None:
        """Return the proof of a new epoch, None under a term that has passed."""
        if term < self.term:
            return None
        return Proof(epoch=epoch, covered=frozenset(covered), term=term)

    def confirmed(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> Proof | None:
        """Return the proof confirmed up to an instant, None for another epoch, under a term that
        has passed, or where it would go back."""
        current = epoch == self.epoch != "" and term >= self.term
        if not current or (self.confirmed_ms is not None and until_ms < self.confirmed_ms):
            return None
        return replace(self, confirmed_ms=until_ms, lapses_ms=lapses_ms, term=term)

    def ended(self, term: int | None) -> Proof | None:
        """Return no proof, None under a term that has passed."""
        if term is not None and term < self.term:
            return None
        return Proof(term=self.term if term is None else term)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofState:
    """A proof as it was at one moment of the backend's clock."""

    proof: Proof
    now_ms: int
