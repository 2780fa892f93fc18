"""What a desk tells of its work to whoever listens; it knows no metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from booking_api.desk.journal.answers import refusal_code
from booking_api.desk.journal.models import REFUSALS, EntryState, JournalEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupServed:
    """A group that was served, or taken up again in `recovery`: how many requests by their kind and
    outcome, which is `done`, `owing`, `unfinished` or the code of a refusal."""

    recovery: bool
    outcomes: Mapping[tuple[str, str], int]

    @classmethod
    def from_rows(cls, rows: Iterable[JournalEntry], *, recovery: bool) -> GroupServed:
        outcomes = Counter((str(row.kind), _outcome_of(row)) for row in rows)
        return cls(recovery=recovery, outcomes=outcomes)

    @property
    def size(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTakenOver:
    """The lease was taken from a desk that never gave it back."""

    epoch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditCorrected:
    """A credit was not what the journal and the contact's history make it, and was set right."""

    credit_property: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditRefused:
    """HubSpot refuses for good to write a credit that a request of this kind changes; a create was
    taken back, a cancel owes its student a credit."""

    kind: str
    credit_property: str


DeskEvent = GroupServed | LeaseTakenOver | CreditCorrected | CreditRefused
DeskObserver = Callable[[DeskEvent], None]


def ignore_event(_: DeskEvent) -> None:
    """The observer of a desk whose work nobody wants to hear of."""


def _outcome_of(row: JournalEntry) -> str:
    if row.state in REFUSALS:
        return refusal_code(row.answer)
    return str(row.state) if row.state in {EntryState.DONE, EntryState.OWING} else "unfinished"
