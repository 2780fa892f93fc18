"""Who waits on for HubSpot keeps its place: a seat goes to whoever asked for it first.

A row that waits on holds up no others but those that came later and ask for a seat in the same
exam, or are the same student's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from booking_api.desk.journal import journal
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.desk.journal.requests import CreateRequest
from booking_api.desk.journal.stored_json import NotUnderstood


@dataclass(frozen=True, slots=True)
class Turns:
    """What is to become of waiting rows: `served` now; `stalled` as all are; `held` until those
    before them are served, or refused because that is after their callers have gone
    (`hopeless`)."""

    served: list[JournalEntry] = field(default_factory=list)
    stalled: list[JournalEntry] = field(default_factory=list)
    held: list[JournalEntry] = field(default_factory=list)
    hopeless: list[JournalEntry] = field(default_factory=list)


def share_out_turns(
    rows: Sequence[JournalEntry],
    waiting_on: Iterable[JournalEntry],
    stall_ends_at: datetime | None,
) -> Turns:
    """Return what is to become of rows, in their order, while `waiting_on` wait, each until a time
    of its own. In a stall those who can wait for its end keep their place; the others are served,
    to be told so."""
    turns, ahead = Turns(), _Ahead()
    for row in waiting_on:
        ahead.add(row)
    for row in rows:
        if stall_ends_at is not None and journal.let_wait_until(row, stall_ends_at):
            ahead.add(row)
            turns.stalled.append(row)
            continue
        row.waits_until = ahead.find_end(row)
        if row.waits_until is None:
            turns.served.append(row)
        elif row.waits_until < row.wanted_until:
            ahead.add(row)
            turns.held.append(row)
        else:
            turns.hopeless.append(row)
    return turns


class _Ahead:
    """Until when rows wait on, by what no later row is to have before them."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)

    def add(self, row: JournalEntry) -> None:
        if row.waits_until is not None:
            for place in _list_places(row):
                self._waits[place].append((row.id, row.waits_until))

    def find_end(self, row: JournalEntry) -> datetime | None:
        """Return until when earlier rows keep this one from its turn; None where none does."""
        waits = (wait for place in _list_places(row) for wait in self._waits.get(place, ()))
        return max((until for row_id, until in waits if row_id < row.id), default=None)


def _list_places(row: JournalEntry) -> Iterator[tuple[str, str]]:
    # By the e-mail goes only a row whose contact is not known, as in a group.
    yield ("contact", row.contact_id) if row.contact_id else ("email", row.email)
    if row.kind == RequestKind.CREATE:
        try:
            yield ("exam", CreateRequest.from_json(row.request).mock_exam_id)
        except NotUnderstood:
            return  # nothing is sold to it: it is refused in its turn
