"""Cancels: one group's straight line.

1. Read the bookings, whose they are and of which exams; then those exams with all their bookings.
2. Decide: the student's own, not cancelled yet, not over.
3. Write ahead. 4. Mark the bookings cancelled. 5. Give the credits back, count, finish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import is_final_refusal, storable_text, unavailable_from
from booking_api.desk.groups.credit_plan import CreditPlans
from booking_api.desk.groups.credits_and_counts import charge_and_count
from booking_api.desk.groups.decision import (
    Turns,
    plan_or_refuse,
    read_requests,
)
from booking_api.desk.groups.decision_inputs import DecisionInputs, read_decision_inputs
from booking_api.desk.groups.ownership import OwnedBookings, read_owned_bookings
from booking_api.desk.journal import journal
from booking_api.desk.journal.answers import ActionsCompleted, CanceledAnswer, CreditRestoration
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import CancelPlan
from booking_api.desk.journal.requests import CancelRequest
from booking_api.rules.booking_end import booking_ends_at, booking_status
from booking_api.rules.credits import change_balance, credit_to_restore, whole_credits
from booking_api.rules.errors import BookingError, InvalidRequest
from booking_api.rules.linked_exam import linked_exam
from hubspot_sync.batching.outcomes import Found, Missing, Unknown
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.wire.call_log import CallMeter

SUCCESS_STATUSES: Final = range(200, 300)

log = structlog.get_logger(__name__)


def serve_cancels(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these waiting rows as far as they will go now; each is changed in place and saved.
    Raises LeaseLost."""
    requests = read_requests(rows, CancelRequest.from_json)
    context = desk_context.renew_for_calls(lease, meters)
    owned = read_owned_bookings(desk_context, list(requests.values()), context)
    inputs = read_decision_inputs(desk_context, (), owned.exam_ids(), context)
    turns = Turns(desk_context, owned.found_contacts(), owned.bookings.found.values())
    plans = CreditPlans(desk_context, context)
    for row in rows:
        if row.id not in requests:
            continue
        plan_or_refuse(
            row,
            partial(_plan_cancel, desk_context, owned, inputs, row, requests[row.id], turns, plans),
        )
    with lease.fenced_transaction():
        begun = journal.begin(lease, rows, desk_context.now())
    planned = [row for row in begun if row.state == EntryState.WRITING]
    cancel_bookings(desk_context, lease, planned, meters)
    written = [row for row in planned if row.state == EntryState.WRITTEN]
    charge_and_count(desk_context, lease, written, _count_remaining(inputs, written), meters)


def cancel_bookings(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Mark the bookings of rows that are `writing` cancelled; afterwards each is written, refused,
    or still writing because nobody knows. All are saved. Raises LeaseLost."""
    if len(rows) == 0:
        return
    ids = [row.record_id for row in rows]
    context = desk_context.renew_for_writes(lease, rows, meters)
    changed = desk_context.writes.cancel_bookings(ids, context)
    for row in rows:
        outcome = changed.outcome(row.record_id)
        if isinstance(outcome, Found):
            journal.go_on_to_credit(row, desk_context.now())
        else:
            refuse_or_postpone(desk_context, row, outcome)
    with lease.fenced_transaction():
        journal.save(lease, rows, desk_context.now())


def refuse_or_postpone(
    desk_context: DeskContext, row: JournalEntry, outcome: Missing | Unknown
) -> None:
    """Refuse the unconfirmed change of a booking where it certainly was not made, else look again
    later. What HubSpot says of one record among many, in a 207, is certain only where it is a
    refusal."""
    error = outcome.error if isinstance(outcome, Unknown) else None
    said = "gone" if error is None else error.safe_text
    log.warning("booking_not_changed", entry=row.id, error=said)
    if error is None or is_final_refusal(error):
        journal.refuse(row, InvalidRequest("HubSpot does not accept this change of the booking."))
    elif error.may_have_taken_effect or error.status in SUCCESS_STATUSES or row.attempts > 0:
        journal.postpone_unanswered(row, error, desk_context.now())
    else:
        journal.refuse(row, unavailable_from(error))


def _plan_cancel(
    desk_context: DeskContext,
    owned: OwnedBookings,
    inputs: DecisionInputs,
    row: JournalEntry,
    request: CancelRequest,
    turns: Turns,
    plans: CreditPlans,
) -> None:
    """Decide whether the booking may be cancelled, and fill in all that follows from it. The row's
    contact is the one that is credited; who asked stands in the plan where that is another."""
    row.contact_id = student_id = owned.require_student(request).contact.id
    seen, booking = owned.require_own(request)
    linked = owned.exams_of(booking)
    exams = {
        exam_id: exam for exam_id in linked if (exam := inputs.exams.answered(exam_id)) is not None
    }
    exam = linked_exam(booking, linked, exams)
    now = desk_context.now()
    ends_at = booking_ends_at(booking, exam, desk_context.profile.time_zone)
    if booking_status(booking.state, ends_at, now) == "completed":
        raise InvalidRequest("This mock exam is over; its booking cannot be cancelled any more.")
    mock_type = booking.mock_type if exam is None else exam.mock_type
    credit = credit_to_restore(desk_context.profile, booking.token_used, mock_type)
    if credit is not None:
        payer = owned.payer(booking, seen)
        balance = payer.contact.credits[credit]
        plans.fill_in(row, payer, credit, change_balance(credit, balance, 1))
        turns.take_credits(payer.contact)
        row.contact_id = payer.contact.id
    turns.take_booking(booking)
    row.state, row.in_doubt_since = EntryState.WRITING, now
    row.record_id = booking.id
    row.exam_id = "" if exam is None else exam.id
    row.plan = CancelPlan(
        answer=_build_answer(row, booking, exam, request, _format_utc(now)),
        booking_seen_at=booking.updated_at,
        mock_exam=_describe_exam(booking if exam is None else exam),
        asked_by=None if row.contact_id == student_id else student_id,
        merged_contacts=seen.contact.merged_ids,
    ).to_json()


def _build_answer(
    row: JournalEntry, booking: Booking, exam: MockExam | None, request: CancelRequest, at: str
) -> CanceledAnswer:
    """Return what a successful cancel is answered with. `bookings_decremented` says that an exam's
    count follows: where it cannot be written now, a recount is stored with this."""
    restored = row.credit_property != ""
    restoration = CreditRestoration(
        credit_type=row.credit_property, amount=1, new_balance=whole_credits(row.credit_after)
    )
    return CanceledAnswer(
        booking_id=booking.booking_id,
        status="cancelled",
        cancelled_at=at,
        actions_completed=ActionsCompleted(
            soft_delete=True,
            note_created=True,
            bookings_decremented=exam is not None,
            credits_restored=restored,
        ),
        credit_restoration=restoration if restored else None,
        reason=request.reason,
    )


def _describe_exam(record: MockExam | Booking) -> str:
    """Return what the note calls the exam, by its day now: the booking's id may have another."""
    day = "" if record.exam_date is None else f" on {record.exam_date.isoformat()}"
    return f"{record.mock_type}{day}"


def _format_utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _count_remaining(inputs: DecisionInputs, written: Sequence[JournalEntry]) -> dict[str, int]:
    """Return the counts without what was cancelled, of exams that could be read completely, by the
    ids that their bookings' links have."""
    totals: dict[str, int] = {}
    fewer = Counter(row.exam_id for row in written if inputs.exams.covers(row.exam_id))
    for exam_id, number in fewer.items():
        try:
            totals[exam_id] = inputs.exam(exam_id).active - number
        except (HubSpotError, BookingError) as error:
            log.warning("exam_not_counted", exam=exam_id, error=storable_text(error))
    return totals
