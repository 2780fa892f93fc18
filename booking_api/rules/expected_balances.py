"""What a credit should be: the journal's changes and the values of others, whoever wrote last.

- A value that somebody else set stands as it is.
- Each change of the journal counts once: where its write first came, by the write's mark; at the
  end where the history has none, and HubSpot has confirmed it all the same.
- A further coming of a change, one of a booking that was taken back, and an earlier correction
  count for nothing.
- A write whose mark is not there (the portal keeps none, or began anew) is known by its value, time
  and source.
- A history that does not reach back to the first change says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from booking_api.rules.credit_landings import first_of_row, is_of_same_row, reaches_back
from hubspot_sync.portal.credit_history import Balance, Mark, Source

CORRECTION: Final = "review."
"""Begins the marks of corrections."""
MAX_SKEW: Final = timedelta(milliseconds=250)
"""A write's mark and its value may differ by so much: HubSpot promises nothing."""


class HistoryTooShort(Exception):
    """The history does not reach back to the first change: nothing can be told."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One credit more or less, as the journal has it; `seen_at` is by HubSpot's clock, `mark` ""
    where it was written without one. One that is `void` belongs to a booking that was taken back;
    one that is not `confirmed` counts only where it has come."""

    before: Decimal
    after: Decimal
    seen_at: datetime
    void: bool = False
    mark: str = ""
    confirmed: bool = True

    @property
    def step(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class History:
    """One credit's values and the contact's marks, oldest first; `marks` is None where the portal
    keeps none."""

    balances: Sequence[Balance]
    marks: Sequence[Mark] | None = None


def expected_balance(
    current: Decimal | None,
    history: History,
    changes: Sequence[PlannedChange],
    *,
    overtaken: bool = False,
) -> Decimal | None:
    """Return the balance in which all planned changes, oldest first, and all values of others have
    their part; None where one of them, and so the sum, cannot be read. Raises HistoryTooShort.

    Where a desk was `overtaken`, a value without a mark to which an earlier change led was put back
    late, and counts for nothing.
    """
    if len(changes) == 0:
        return current
    start = min(change.seen_at for change in changes)
    if not _is_whole(history, changes[0], start):
        raise HistoryTooShort
    earlier = [balance for balance in history.balances if balance.at <= start]
    sum_ = _Sum(
        expected=earlier[-1].value if earlier else changes[0].before,
        history=history,
        changes=changes,
        overtaken=overtaken,
    )
    for balance, mark in _merge(history, start):
        sum_.take(balance, mark)
    return sum_.finish()


def _is_whole(history: History, first: PlannedChange, start: datetime) -> bool:
    times = [balance.at for balance in history.balances]
    if not reaches_back(times, start, was_set=first.before != 0):
        return False
    marks = history.marks or ()
    # Each is sent once: where the first is there, nothing before it is missing.
    begins_there = len(marks) > 0 and marks[0].text == first_of_row(first.mark)
    return begins_there or reaches_back([mark.at for mark in marks], start)


def _merge(history: History, start: datetime) -> list[tuple[Balance | None, Mark | None]]:
    """Return what came after `start`, in its order: values with the marks that came with them,
    values alone, and marks whose value was there already."""
    values = [one for one in history.balances if one.at > start]
    marks = [mark for mark in history.marks or () if mark.at > start]
    # HubSpot gives both one time where it gives it to any.
    pairs = _pair(values, marks, timedelta(0)) or _pair(values, marks, MAX_SKEW)
    events: list[tuple[datetime, int, Balance | None, Mark | None]] = []
    for number, mark in enumerate(marks):
        place = pairs.get(number, -1)
        value = values[place] if place >= 0 else None
        events.append((mark.at if value is None else value.at, place, value, mark))
    taken = set(pairs.values())
    events += [(one.at, place, one, None) for place, one in enumerate(values) if place not in taken]
    # Of values of one time the history's own order tells which came first.
    return [event[2:] for event in sorted(events, key=lambda event: event[:2])]


def _pair(
    values: Sequence[Balance], marks: Sequence[Mark], max_skew: timedelta
) -> Mapping[int, int]:
    """Return which mark, by its place, came with which value, by its place."""
    pairs: dict[int, int] = {}
    for number, mark in enumerate(marks):
        near = [
            (abs(one.at - mark.at), place)
            for place, one in enumerate(values)
            if one.may_be_ours and abs(one.at - mark.at) <= max_skew
        ]
        free = [(skew, place) for skew, place in near if place not in pairs.values()]
        if free:
            pairs[number] = min(free)[1]
    return pairs


class _Sum:
    """The walk over a history."""

    def __init__(
        self,
        *,
        expected: Decimal | None,
        history: History,
        changes: Sequence[PlannedChange],
        overtaken: bool,
    ) -> None:
        self._expected = expected
        self._overtaken = overtaken
        seen = [mark.text for mark in history.marks or ()]
        self._marked = [one for one in changes if _is_marked(one, seen)]
        unmarked = [
            one
            for one in changes
            if not _is_marked(one, seen) and _may_have_come(one, history.marks)
        ]
        self._own_source = _find_own_source(history.balances, unmarked)
        self._void = [one for one in unmarked if one.void]
        self._waiting = [one for one in unmarked if not one.void]
        self._come: list[PlannedChange] = []

    def take(self, balance: Balance | None, mark: Mark | None) -> None:
        """Count what came next: a value, a mark, or both together."""
        if mark is not None and self._take_mark(mark):
            return
        if balance is not None and not self._take_unmarked(balance):
            self._expected = balance.value

    def finish(self) -> Decimal | None:
        """Count what HubSpot has confirmed and does not show, of those that had a mark; return the
        sum."""
        for change in self._waiting:
            if change.mark and change.confirmed:
                self._add(change)
        return self._expected

    def _take_mark(self, mark: Mark) -> bool:
        """Count a write of ours, once; say whether it is one."""
        for change in self._marked:
            if is_of_same_row(change.mark, mark.text):
                if change not in self._come:
                    self._add(change)
                return True
        return mark.text.startswith(CORRECTION)

    def _take_unmarked(self, balance: Balance) -> bool:
        """Count a value that a change without its mark has left, once; say whether it is one of
        ours that counts, or counts for nothing."""
        if self._own_source is None or not balance.source.is_same(self._own_source):
            return False
        for place, change in enumerate(self._waiting):
            if change.after == balance.value and change.seen_at < balance.at:
                self._add(self._waiting.pop(place))
                return True
        left_by = self._void + (self._come if self._overtaken else [])
        return any(one.after == balance.value and one.seen_at < balance.at for one in left_by)

    def _add(self, change: PlannedChange) -> None:
        self._come.append(change)
        if self._expected is not None and not change.void:
            self._expected += change.step


def _may_have_come(change: PlannedChange, marks: Sequence[Mark] | None) -> bool:
    """Whether a change whose mark is not there can have come: it was confirmed, or there would be
    no mark to be seen."""
    return change.mark == "" or marks is None or (change.confirmed and not change.void)


def _is_marked(change: PlannedChange, seen: Sequence[str]) -> bool:
    return change.mark != "" and any(is_of_same_row(change.mark, mark) for mark in seen)


def _find_own_source(
    balances: Sequence[Balance], unmarked: Sequence[PlannedChange]
) -> Source | None:
    """Return the source, as HubSpot's history names it, of most of the changes without a mark: that
    is us. None where the history shows none of them."""
    made_by = Counter(
        balance.source
        for change in unmarked
        for balance in balances
        if balance.may_be_ours and balance.value == change.after and balance.at > change.seen_at
    )
    return made_by.most_common(1)[0][0] if made_by else None
