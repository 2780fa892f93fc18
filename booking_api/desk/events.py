"""What a desk tells of its work to whoever listens; it knows no metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from booking_api.desk.journal.models import EntryState, JournalEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A group that was served, or taken up again in `recovery`: how many requests by their kind and
    outcome, which is `done`, `unfinished` or the code of a refusal."""

    recovery: bool
    outcomes: Mapping[tuple[str, str], int]

    @property
    def size(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenOver:
    """The lease was taken from a desk that never gave it back."""

    epoch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """A credit was not what the journal and the contact's history make it, and was set right."""

    credit_property: str


DeskEvent = Served | TakenOver | Mended
DeskObserver = Callable[[DeskEvent], None]


def served(rows: Iterable[JournalEntry], *, recovery: bool) -> Served:
    """Return what became of a group."""
    return Served(
        recovery=recovery, outcomes=Counter((str(row.kind), _outcome(row)) for row in rows)
    )


def nobody(_: DeskEvent) -> None:
    """Listens to nothing."""


def _outcome(row: JournalEntry) -> str:
    if row.state == EntryState.REFUSED:
        return str(row.answer["code"])
    return "done" if row.state == EntryState.DONE else "unfinished"
