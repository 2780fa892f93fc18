"""Finish what the journal shows unfinished: roll forward only, and never write before looking.

- Did the create happen? The booking is looked up by its unique key. If it is there, it is gone on
  with; if not, it is created with the same key, so that a sending still on its way is refused.
- Was the credit written? The contact's history tells: by the write's mark, or by its value, time
  and source. If not, the plan is made anew from what the credit is now. One that cannot be read is
  left as it is, and looked at again later; so is one whose history does not reach back.
- Was the contact merged into another? The survivor pays (merged_contacts.py).
- Was it decided that the booking is taken back? It is cancelled, and never charged any more.
- Is a credit owed that HubSpot refused? It is planned anew, and tried once more, when nothing else
  of that contact's credits is open.
- Did the cancel, or the update, happen? The booking's history says (booking_landings.py).
- What is not to be seen may still come: it is not sent again while it is in doubt.
- Can the plan not be read? Nothing is done on a guess: the row waits, with a sentence, for a person
  or for the release that wrote it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import HistoryCut, UnreadablePlan
from booking_api.desk.groups.booking_creation import adopt_found_booking, create_bookings
from booking_api.desk.groups.cancel_group import cancel_bookings
from booking_api.desk.groups.credit_plan import CreditPlans
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
from booking_api.desk.journal.plans import CancelPlan, CreatePlan, Plan, change_plan, read_plan
from booking_api.desk.repair.booking_landings import look_for_landings
from booking_api.desk.repair.credit_proofs import CreditProofs, read_proofs
from booking_api.desk.repair.merged_contacts import (
    find_survivors_landing,
    find_waiting,
    move_to_survivor,
)
from booking_api.rules.credit_landings import Landing
from booking_api.rules.credits import change_balance, whole_credits
from booking_api.rules.errors import BookingError
from hubspot_sync.batching.outcomes import Found, Missing, Unknown
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
    One whose plan cannot be read is left to a person. Raises LeaseLost."""
    rows = _set_unreadable_aside(desk_context, lease, rows)
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
    # Before the charging, which may decide it of others and takes those back itself.
    undoing = [row for row in rows if row.state == EntryState.UNDOING]
    cancels = [row for row in writing if row.kind == RequestKind.CANCEL]
    updates = [row for row in writing if row.kind == RequestKind.UPDATE]
    unsent = look_for_landings(desk_context, lease, [*cancels, *updates, *undoing], meters)
    for begun, send in (
        (cancels, cancel_bookings),
        (updates, change_bookings),
        (undoing, take_back),
    ):
        send(desk_context, lease, [row for row in begun if row.id in unsent], meters)
    for row in writing:
        row.in_doubt_since = None  # of its credit nothing was sent yet
    unpaid = [row for row in rows if row.state == EntryState.WRITTEN]
    _charge_in_turn(desk_context, lease, [*unpaid, *owing], meters)
    for row in rows:
        log.info("recovered", entry=row.id, kind=row.kind, state=row.state, attempts=row.attempts)


def _set_unreadable_aside(
    desk_context: DeskContext, lease: HeldLease, rows: Sequence[JournalEntry]
) -> list[JournalEntry]:
    """Return the rows whose plans can be read; put the others off, each with what is wrong."""
    readable = []
    for row in rows:
        try:
            read_plan(row)
        except UnreadablePlan as error:
            with lease.fenced_transaction():
                journal.set_aside(row, error, desk_context.now())
        else:
            readable.append(row)
    return readable


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
        match found.outcome(row.idempotency_key):
            case Found(booking):
                adopt_found_booking(desk_context, row, booking)
            case Missing():
                absent.append(row)
            case Unknown(error):
                journal.postpone(row, error, desk_context.now())
    with lease.fenced_transaction():
        saved = {row.id for row in journal.save(lease, rows, desk_context.now())}
    absent = [row for row in absent if row.id in saved]
    if len(absent) > 0:
        create_bookings(desk_context, lease, absent, meters)


def _charge_unwritten(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    """Complete the rows whose credits were written, and write the credits of the others."""
    if len(rows) == 0:
        return
    context = desk_context.renew_for_calls(lease, meters)
    proofs = read_proofs(desk_context, rows, context)
    plans = CreditPlans(desk_context, context)
    to_save: list[JournalEntry] = []
    to_charge: list[JournalEntry] = []
    waiting = find_waiting(rows, proofs.histories)
    for row in rows:
        if row.id in waiting:
            journal.put_off(row, desk_context.now())
            to_save.append(row)
            continue
        is_due = _settle_or_plan_anew(desk_context, row, proofs, plans)
        (to_charge if is_due else to_save).append(row)
    show_readers(desk_context, to_save)
    saved = save_with_follow_ups(desk_context, lease, to_save)
    # What came late may have been put over somebody else's value.
    late = {row.contact_id for row in saved if row.state == EntryState.DONE and row.credit_property}
    follow_ups.request_reviews(late, desk_context.now(), desk_context.now(), overtaken=False)
    undoing = [row for row in saved if row.state == EntryState.UNDOING]
    take_back(desk_context, lease, undoing, meters)
    with lease.fenced_transaction():
        # Whoever's new plan cannot be kept is charged nothing: it would not be known again.
        to_charge = journal.save(lease, to_charge, desk_context.now())
        contacts = {row.contact_id for row in to_charge}
        later = desk_context.now() + desk_context.config.lease_duration
        follow_ups.request_reviews(contacts, desk_context.now(), later, overtaken=True)
    charge_and_count(desk_context, lease, to_charge, {}, meters)


def _charge_in_turn(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> None:
    """Settle the credits of rows, one of a contact after the other: two planned from the same
    balance would be one. What is unsettled goes before what is owed, the older before the later;
    where an earlier one stays unsettled, the others are put off."""
    waiting = sorted(rows, key=lambda row: (row.state == EntryState.OWING, row.id))
    while len(waiting) > 0:
        unsettled = known_bookings.unsettled_rows({row.contact_id for row in waiting})
        turn: dict[str, JournalEntry] = {}
        for row in waiting:
            if row.credit_property == "":
                turn[f"no credit {row.id}"] = row
            elif unsettled.get(row.contact_id, row.id) == row.id:
                turn.setdefault(row.contact_id, row)
        if len(turn) == 0:
            break
        served = {row.id for row in turn.values()}
        _charge_unwritten(desk_context, lease, list(turn.values()), meters)
        waiting = [row for row in waiting if row.id not in served]
    if len(waiting) == 0:
        return
    for row in waiting:
        journal.put_off(row, desk_context.now())
    with lease.fenced_transaction():
        journal.save(lease, waiting, desk_context.now())


def _settle_or_plan_anew(
    desk_context: DeskContext, row: JournalEntry, proofs: CreditProofs, plans: CreditPlans
) -> bool:
    """Say whether the row's credit is to be written, by a new plan; else take the row as far as it
    goes without that."""
    try:
        history = proofs.histories.answered(row.contact_id) if row.credit_property != "" else None
    except HubSpotError as error:
        journal.postpone(row, error, desk_context.now())
        return False
    if row.credit_property == "":
        journal.complete(row)
        return False
    if history is None:
        settle_without_contact(row, desk_context.now())
        return False
    is_moved = history.seen.contact.id != row.contact_id
    find_landing = find_survivors_landing if is_moved else proofs.find_landing
    landing = find_landing(row, history)
    if landing is Landing.SEEN and not is_moved:
        journal.complete(row)
        return False
    in_doubt_since = row.in_doubt_since if landing is not Landing.SEEN else None
    if in_doubt_since is not None and desk_context.is_in_doubt(in_doubt_since):
        until = in_doubt_since + desk_context.config.late_write
        journal.await_landing(row, desk_context.now(), until)
        return False
    if landing is Landing.UNKNOWN:
        log.error("credit_history_cut", entry=row.id, contact=row.contact_id)
        journal.postpone(row, HistoryCut(), desk_context.now())
        return False
    if not is_moved:
        balance = history.seen.contact.credits[row.credit_property]
        return _plan_anew_or_postpone(desk_context, row, history, plans, balance)
    moved = move_to_survivor(row, history)
    if moved.is_paid:
        journal.complete(row)
        return False
    return _plan_anew_or_postpone(desk_context, row, history, plans, moved.balance)


def _plan_anew_or_postpone(
    desk_context: DeskContext,
    row: JournalEntry,
    history: CreditHistory,
    plans: CreditPlans,
    balance: Decimal | None,
) -> bool:
    """Plan the row's change anew, or postpone it where there is nothing to reckon with until a
    person puts the credit right."""
    try:
        _plan_anew(row, history, plans, balance)
        row.in_doubt_since = desk_context.now()
    except BookingError as refusal:
        log.warning("credit_unreadable", entry=row.id, credit=row.credit_property)
        journal.postpone(row, refusal, desk_context.now())
        return False
    return True


def _plan_anew(
    row: JournalEntry, history: CreditHistory, plans: CreditPlans, balance: Decimal | None
) -> None:
    """Plan the change from this balance, as a rule what the credit is now: a person may have
    changed it since. Raises InvalidRequest where it is nothing that can be read."""
    step = -1 if row.kind == RequestKind.CREATE else 1
    before, after = change_balance(row.credit_property, balance, step)
    current = history.seen.contact.credits[row.credit_property]
    change = (before if current is None else current, after)
    plans.fill_in(row, history.seen, row.credit_property, change)
    row.state = EntryState.WRITTEN
    change_plan(row, _say_what_is_left(read_plan(row), whole_credits(row.credit_after)))


def _say_what_is_left(plan: Plan, credits_: int) -> Plan:
    """Return the plan with an answer for a credit written by a new plan, which has left so many."""
    if isinstance(plan, CreatePlan):
        return replace(plan, answer=plan.answer.with_remaining(credits_))
    if isinstance(plan, CancelPlan):
        return replace(plan, answer=plan.answer.with_balance(credits_))
    return plan
