"""Finish what the journal shows unfinished: roll forward only, and never write before looking.

- Did the create happen? The booking is looked up by its unique key. If it is there, it is gone on
  with; if not, it is created with the same key, so that a sending still on its way is refused.
- Was the credit written? The contact's history tells: a value as planned, by an app, since the
  contact was read for the plan. If not, the plan is made anew from what the credit is now. One
  that cannot be read is left as it is, and looked at again later.
- Was the contact merged into another? The survivor pays (merged_contacts.py).
- Was it decided that the booking is taken back? It is cancelled, and never charged any more.
- Is a credit owed that HubSpot refused? It is planned anew, and tried once more, when nothing else
  of that contact's credits is open.
- Did the cancel happen? The booking says; if not, it is sent again. An update is absolute: it is
  simply sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.booking_creation import adopt_found_booking, create_bookings
from booking_api.desk.groups.cancel_group import cancel_bookings
from booking_api.desk.groups.credits_and_counts import (
    charge_and_count,
    save_with_follow_ups,
    show_readers,
    take_back,
)
from booking_api.desk.groups.refused_credits import settle_without_contact
from booking_api.desk.groups.update_group import change_bookings
from booking_api.desk.journal import follow_ups, journal, known_bookings
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry, RequestKind
from booking_api.desk.repair.merged_contacts import find_waiting, move_to_survivor
from booking_api.rules.credits import change_balance, whole_credits
from booking_api.rules.errors import BookingError
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.writing.authoritative_reads import CreditHistory

log = structlog.get_logger(__name__)


def recover(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these unfinished rows as far as they will go now; each is changed in place and saved.
    Raises LeaseLost."""
    if len(rows) == 0:
        return
    for row in rows:
        row.next_attempt_at = None
        # It may have been sent, whoever began it: no error of a further try makes that undone.
        row.attempts = max(row.attempts, 1)
    owing = [row for row in rows if row.state == EntryState.OWING]
    writing = [row for row in rows if row.state == EntryState.WRITING]
    _find_or_create(
        desk_context, lease, [row for row in writing if row.kind == RequestKind.CREATE], meters
    )
    _find_or_cancel(
        desk_context, lease, [row for row in writing if row.kind == RequestKind.CANCEL], meters
    )
    change_bookings(
        desk_context, lease, [row for row in writing if row.kind == RequestKind.UPDATE], meters
    )
    # Before the charging, which may decide it of others and takes those back itself.
    undoing = [row for row in rows if row.state == EntryState.UNDOING]
    take_back(desk_context, lease, undoing, meters)
    unpaid = [row for row in rows if row.state == EntryState.WRITTEN]
    _charge_unwritten(desk_context, lease, unpaid, meters)
    _charge_owed(desk_context, lease, owing, meters)
    for row in rows:
        log.info("recovered", entry=row.id, kind=row.kind, state=row.state, attempts=row.attempts)


def _find_or_create(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    if len(rows) == 0:
        return
    keys = [row.idempotency_key for row in rows]
    found = desk_context.evidence.bookings_by_key(keys, desk_context.renew_for_calls(lease, meters))
    absent = []
    for row in rows:
        key = row.idempotency_key
        if key in found.found:
            adopt_found_booking(desk_context, row, found.found[key])
        elif key in found.missing:
            absent.append(row)
        else:
            journal.postpone(row, found.unknown[key], desk_context.now())
    with lease.fenced_transaction():
        saved = {row.id for row in journal.save(lease, rows, desk_context.now())}
    absent = [row for row in absent if row.id in saved]
    if len(absent) > 0:
        create_bookings(desk_context, lease, absent, meters)


def _find_or_cancel(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    if len(rows) == 0:
        return
    ids = [row.record_id for row in rows]
    states = desk_context.evidence.booking_states(ids, desk_context.renew_for_calls(lease, meters))
    standing = []
    for row in rows:
        seen = states.found.get(row.record_id)
        row.record_id = row.record_id if seen is None else seen.id
        if seen is not None and seen.state == "cancelled":
            row.state = EntryState.WRITTEN
        elif row.record_id in states.unknown:
            journal.postpone(row, states.unknown[row.record_id], desk_context.now())
        else:
            standing.append(row)
    with lease.fenced_transaction():
        saved = {row.id for row in journal.save(lease, rows, desk_context.now())}
    standing = [row for row in standing if row.id in saved]
    cancel_bookings(desk_context, lease, standing, meters)


def _charge_unwritten(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    """Complete the rows whose credits were written, and write the credits of the others."""
    if len(rows) == 0:
        return
    contacts = {row.contact_id for row in rows if row.credit_property != ""}
    histories = desk_context.evidence.credit_histories(
        contacts, desk_context.renew_for_calls(lease, meters)
    )
    to_save: list[JournalEntry] = []
    to_charge: list[JournalEntry] = []
    waiting = find_waiting(rows, histories)
    for row in rows:
        if row.id in waiting:
            journal.put_off(row, desk_context.now())
            to_save.append(row)
            continue
        is_due = _settle_or_plan_anew(desk_context, row, histories)
        (to_charge if is_due else to_save).append(row)
    show_readers(desk_context, to_save)
    saved = save_with_follow_ups(desk_context, lease, to_save)
    undoing = [row for row in saved if row.state == EntryState.UNDOING]
    take_back(desk_context, lease, undoing, meters)
    with lease.fenced_transaction():
        # Whoever's new plan cannot be kept is charged nothing: it would not be known again.
        to_charge = journal.save(lease, to_charge, desk_context.now())
        contacts = {row.contact_id for row in to_charge}
        later = desk_context.now() + desk_context.config.lease_duration
        follow_ups.request_reviews(contacts, desk_context.now(), later, overtaken=True)
    charge_and_count(desk_context, lease, to_charge, {}, meters)


def _charge_owed(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    """Try the credits that are owed, one of a contact after the other: two planned from the same
    balance would be one. Where something else of a contact is unsettled, they are put off."""
    waiting = list(rows)
    while len(waiting) > 0:
        unsettled = known_bookings.unsettled_contacts({row.contact_id for row in waiting})
        turn: dict[str, JournalEntry] = {}
        for row in waiting:
            if row.contact_id not in unsettled:
                turn.setdefault(row.contact_id, row)
        if len(turn) == 0:
            break
        _charge_unwritten(desk_context, lease, list(turn.values()), meters)
        waiting = [row for row in waiting if turn.get(row.contact_id) is not row]
    if len(waiting) == 0:
        return
    for row in waiting:
        journal.put_off(row, desk_context.now())
    with lease.fenced_transaction():
        journal.save(lease, waiting, desk_context.now())


def _settle_or_plan_anew(
    desk_context: DeskContext, row: JournalEntry, histories: Many[CreditHistory]
) -> bool:
    """Say whether the row's credit is to be written, by a new plan; else take the row as far as it
    goes without that."""
    try:
        history = histories.answered(row.contact_id) if row.credit_property != "" else None
    except HubSpotError as error:
        journal.postpone(row, error, desk_context.now())
        return False
    if row.credit_property == "":
        journal.complete(row)
        return False
    if history is None:
        settle_without_contact(row)
        return False
    if history.seen.contact.id != row.contact_id:
        moved = move_to_survivor(row, history)
        is_written, balance = moved.is_paid, moved.balance
    else:
        is_written = _was_credit_written(row, history)
        balance = history.seen.contact.credits[row.credit_property]
    if is_written:
        journal.complete(row)
        return False
    return _plan_anew_or_postpone(desk_context, row, history, balance)


def _was_credit_written(row: JournalEntry, history: CreditHistory) -> bool:
    """Whether the credit took the planned value since the contact was read for the plan. Both
    times are HubSpot's own. A plan without a value was refused, and nothing is on its way."""
    return row.credit_after is not None and any(
        balance.by_app
        and balance.value == row.credit_after
        and (row.contact_seen_at is None or balance.at > row.contact_seen_at)
        for balance in history.balances[row.credit_property]
    )


def _plan_anew_or_postpone(
    desk_context: DeskContext, row: JournalEntry, history: CreditHistory, balance: Decimal | None
) -> bool:
    """Plan the row's change anew, or postpone it where there is nothing to reckon with until a
    person puts the credit right."""
    try:
        _plan_anew(row, history, balance)
    except BookingError as refusal:
        log.warning("credit_unreadable", entry=row.id, credit=row.credit_property)
        journal.postpone(row, refusal, desk_context.now())
        return False
    return True


def _plan_anew(row: JournalEntry, history: CreditHistory, balance: Decimal | None) -> None:
    """Plan the change from this balance, as a rule what the credit is now: a person may have
    changed it since. Raises InvalidRequest where it is nothing that can be read."""
    step = -1 if row.kind == RequestKind.CREATE else 1
    _, row.credit_after = change_balance(row.credit_property, balance, step)
    row.credit_before = history.seen.contact.credits[row.credit_property]
    row.contact_seen_at = history.seen.seen_at
    row.state = EntryState.WRITTEN
    left = whole_credits(row.credit_after)
    if row.kind == RequestKind.CANCEL:
        row.plan["answer"]["credit_restoration"]["new_balance"] = left
    else:
        row.plan["answer"]["credit_details"]["remaining_credits"] = left
