"""Charges that were planned for a contact which has become part of another since.

The survivor pays, by what its own credit is now, and once. A planned value in its history counts
for a charge where it came with the row's mark, or with the merge; without marks only where no other
row of the journal has put it there, for two contacts may well have had the same balance. A mark
alone proves that the write is over, not that the survivor paid: it may have come with the merge, or
changed nothing. Where HubSpot put the old plan's value over the survivor's balance, it is reckoned
from the balance before that, unless somebody has set the credit since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog

from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.models import JournalEntry
from booking_api.desk.journal.plans import name_merged_contacts
from booking_api.rules.credit_landings import Landing, is_of_same_row
from booking_api.rules.expected_balances import MAX_SKEW
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.portal.credit_history import Balance, Mark
from hubspot_sync.portal.records import ids_of
from hubspot_sync.writing.authoritative_reads import CreditHistory

BY_MERGE = "MERGE"
"""In the history's source of a value that came with a merged record."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MovedCharge:
    """What a survivor has to pay: nothing more where the charge `is_paid`, else one from `balance`,
    None where that cannot be read."""

    is_paid: bool
    balance: Decimal | None


def find_waiting(rows: Sequence[JournalEntry], histories: Many[CreditHistory]) -> set[int]:
    """Return the ids of the rows that have to wait for another charge of the same survivor: two
    planned from one balance would be one. The oldest goes first."""
    waiting: set[int] = set()
    taken: set[str] = set()
    for row in sorted(rows, key=lambda row: row.id):
        history = histories.if_found(row.contact_id)
        if history is None or len(history.seen.contact.merged_ids) == 0:
            continue
        contact = history.seen.contact
        if contact.id in taken or known_bookings.has_older_charge(row, ids_of(contact)):
            waiting.add(row.id)
        taken.add(contact.id)
    return waiting


def move_to_survivor(row: JournalEntry, history: CreditHistory) -> MovedCharge:
    """Make the survivor the row's contact, and return what it has still to pay."""
    contact, name = history.seen.contact, row.credit_property
    log.warning("charge_of_merged", entry=row.id, merged=row.contact_id, contact=contact.id)
    balances, place = history.balances[name], _find_own_write(row, history)
    current, planned, reckoned_from = contact.credits[name], row.credit_after, row.credit_before
    row.contact_id = contact.id
    name_merged_contacts(row, contact.merged_ids)
    if place is None or planned is None or reckoned_from is None:
        if len(_own_marks(row, history)) > 0:
            row.credit_mark = ""  # it is there, and would prove a charge that is still to be made
        row.credit_before = row.credit_after = None  # nothing is on its way to the survivor
        return MovedCharge(is_paid=False, balance=current)
    before = balances[place - 1] if place > 0 else None
    if before is None or _is_by_merge(balances[place]):
        return MovedCharge(is_paid=True, balance=current)
    row.credit_before, row.contact_seen_at = before.value, before.at
    is_set_since = any(not _may_be_ours(balance, history) for balance in balances[place + 1 :])
    if before.value is None or current is None or is_set_since:
        return MovedCharge(is_paid=True, balance=current)
    overwritten = before.value + (planned - reckoned_from) - planned
    if overwritten == 0:
        return MovedCharge(is_paid=True, balance=current)
    row.credit_mark = ""  # the next write is another change, from the value that this one has left
    return MovedCharge(is_paid=False, balance=current + before.value - planned)


def find_survivors_landing(row: JournalEntry, history: CreditHistory) -> Landing:
    """Return whether the survivor's history shows the write that was planned for the other: then it
    is over, whether it was the survivor's charge or not."""
    # The latest one's own: one that came late says nothing of another that was sent since.
    is_marked = any(mark.text == row.credit_mark for mark in _own_marks(row, history))
    is_over = is_marked or _find_own_write(row, history) is not None
    return Landing.SEEN if is_over else Landing.NOT_SEEN


def _own_marks(row: JournalEntry, history: CreditHistory) -> list[Mark]:
    if row.credit_mark == "":
        return []
    return [mark for mark in history.marks or () if is_of_same_row(mark.text, row.credit_mark)]


def _may_be_ours(balance: Balance, history: CreditHistory) -> bool:
    """Whether we may have set a balance: a source may be another app's too, a mark is ours."""
    marks = history.marks
    is_marked = marks is None or any(abs(balance.at - mark.at) <= MAX_SKEW for mark in marks)
    return balance.may_be_ours and is_marked


def _is_by_merge(balance: Balance) -> bool:
    return balance.source.type.startswith(BY_MERGE)


def _find_own_write(row: JournalEntry, history: CreditHistory) -> int | None:
    """Return the place among the balances, oldest first, of the one that this row's plan has made,
    or that came with the merged contact, charged already; None where there is none."""
    if row.credit_after is None:
        return None
    balances, marks = history.balances[row.credit_property], _own_marks(row, history)
    for place, balance in enumerate(balances):
        is_marked = any(abs(balance.at - mark.at) <= MAX_SKEW for mark in marks)
        if is_marked and balance.value == row.credit_after:
            return place
    proves_by_mark = row.credit_mark != "" and history.marks is not None
    for place in _list_unexplained(row, history):
        balance = balances[place]
        is_ours = _is_by_merge(balance) or (balance.may_be_ours and not proves_by_mark)
        is_later = row.contact_seen_at is None or balance.at > row.contact_seen_at
        if is_ours and is_later and balance.value == row.credit_after:
            return place
    return None


def _list_unexplained(row: JournalEntry, history: CreditHistory) -> list[int]:
    """Return the places of the balances that no other row of the journal accounts for."""
    name, balances = row.credit_property, history.balances[row.credit_property]
    free = list(range(len(balances)))
    explained = known_bookings.balances_planned(history.seen.contact.id, name, but=row.id)
    for value, seen_at in explained:
        made = (
            place
            for place in free
            if balances[place].may_be_ours
            and balances[place].value == value
            and balances[place].at > seen_at
        )
        place = next(made, None)
        if place is not None:
            free.remove(place)
    return free
