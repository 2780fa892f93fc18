"""Charges that were planned for a contact which has become part of another since.

The survivor pays, by what its own credit is now, and once: a planned value in its history counts
for a charge only where no other row of the journal has put it there, for two contacts may well have
had the same balance. Where HubSpot put the old plan's value over the survivor's balance, it is
reckoned from the balance before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog

from booking_api.desk.groups.decision import name_merged_contacts
from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.models import JournalEntry
from booking_api.rules.credit_landings import Landing, is_of_same_row
from hubspot_sync.batching.outcomes import Many
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
        history = histories.found.get(row.contact_id)
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
    balances = history.balances[name]
    late = _find_own_write(row, history)
    current, planned, reckoned_from = contact.credits[name], row.credit_after, row.credit_before
    row.contact_id = contact.id
    name_merged_contacts(row, contact)
    if late is None or planned is None or reckoned_from is None:
        row.credit_before = row.credit_after = None  # nothing is on its way to the survivor
        return MovedCharge(is_paid=False, balance=current)
    before = balances[late - 1] if late > 0 else None
    if before is not None:
        row.credit_before, row.contact_seen_at = before.value, before.at
    if before is None or before.value is None or current is None:
        return MovedCharge(is_paid=True, balance=current)
    overwritten = before.value + (planned - reckoned_from) - planned
    if overwritten == 0:
        return MovedCharge(is_paid=True, balance=current)
    row.credit_mark = ""  # the next write is another change, from the value that this one has left
    return MovedCharge(is_paid=False, balance=current + before.value - planned)


def find_survivors_landing(row: JournalEntry, history: CreditHistory) -> Landing:
    """Return whether the survivor's history shows the write that was planned for the other."""
    return Landing.NOT_SEEN if _find_own_write(row, history) is None else Landing.SEEN


def _find_own_write(row: JournalEntry, history: CreditHistory) -> int | None:
    """Return the place among the balances, oldest first, of the one that this row's plan has made,
    or that came with the merged contact, charged already; None where there is none."""
    if row.credit_after is None:
        return None
    contact, balances = history.seen.contact, history.balances[row.credit_property]
    marked_at = {
        mark.at for mark in history.marks or () if is_of_same_row(mark.text, row.credit_mark)
    }
    for marked, balance in enumerate(balances):
        if balance.at in marked_at and balance.value == row.credit_after:
            return marked
    explained = known_bookings.balances_planned(contact.id, row.credit_property, but=row.id)
    free = list(range(len(balances)))
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
    for place in free:
        balance = balances[place]
        is_ours = balance.may_be_ours or balance.source.type.startswith(BY_MERGE)
        is_later = row.contact_seen_at is None or balance.at > row.contact_seen_at
        if is_ours and is_later and balance.value == row.credit_after:
            return place
    return None
