"""Cancels: one group's straight line.

1. Read the bookings, whose they are and of which exams; with that those exams that the journal
   knows, and then the others.
2. Decide: the student's own, not cancelled yet, not over.
3. Write ahead.
4. Mark the bookings cancelled; meanwhile read which others of their exams are active.
5. Give the credits back, count, finish.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import is_final_refusal, unavailable_from
from booking_api.desk.groups.cancelled_exams import CancelledExams, read_exams
from booking_api.desk.groups.credit_plan import CreditPlans
from booking_api.desk.groups.credits_and_counts import charge_and_count
from booking_api.desk.groups.decision import (
    Turns,
    plan_or_refuse,
    read_requests,
)
from booking_api.desk.groups.ownership import OwnedBookings, read_owned_bookings
from booking_api.desk.journal import journal, known_bookings
from booking_api.desk.journal.answers import ActionsCompleted, CanceledAnswer, CreditRestoration
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import CancelPlan
from booking_api.desk.journal.requests import CancelRequest
from booking_api.rules.booking_end import booking_ends_at, booking_status
from booking_api.rules.credits import change_balance, credit_to_restore, whole_credits
from booking_api.rules.errors import InvalidRequest
from booking_api.rules.linked_exam import linked_exam
from hubspot_sync.batching.outcomes import Found, Missing, Unknown
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.fan_out import run_together

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
    owned, exams = _read_inputs(desk_context, list(requests.values()), context)
    turns = Turns(desk_context, owned.found_contacts(), owned.bookings.found.values())
    plans = CreditPlans(desk_context, context)
    for row in rows:
        if row.id not in requests:
            continue
        plan_or_refuse(
            desk_context,
            row,
            partial(_plan_cancel, desk_context, owned, exams, row, requests[row.id], turns, plans),
        )
    with lease.fenced_transaction():
        begun = journal.begin(lease, rows, desk_context.now())
    planned = [row for row in begun if row.state == EntryState.WRITING]
    cancel_bookings(desk_context, lease, planned, meters, exams)
    written = [row for row in planned if row.state == EntryState.WRITTEN]
    charge_and_count(desk_context, lease, written, exams.count_remaining(written), meters)


def _read_inputs(
    desk_context: DeskContext, requests: Sequence[CancelRequest], context: CallContext
) -> tuple[OwnedBookings, CancelledExams]:
    """Read the bookings and their exams, in one round trip where the journal or the cache tells
    which exams those are likely to be, else in two. Nothing is raised for a part that failed."""
    exams = CancelledExams()
    booking_ids = {request.booking_id for request in requests}
    known = known_bookings.exams_of_bookings(booking_ids)
    guessed = desk_context.guess_exams(booking_ids - known.keys())
    early = {*known.values(), *chain.from_iterable(guessed.values())}
    # Last, in this thread: the others have no connection to the database.
    read, owned = run_together(
        desk_context.fan_out,
        lambda: read_exams(desk_context, early, context),
        lambda: read_owned_bookings(desk_context, requests, context),
    )
    exams.add(desk_context, read, context)
    late = owned.exam_ids() - early
    exams.add(desk_context, read_exams(desk_context, late, context), context)
    return owned, exams


def cancel_bookings(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
    exams: CancelledExams | None = None,
) -> None:
    """Mark the bookings of rows that are `writing` cancelled; afterwards each is written, refused,
    or still writing because nobody knows. All are saved. Meanwhile the states of the bookings of
    `exams` are read. Raises LeaseLost."""
    if len(rows) == 0:
        return
    ids = [row.record_id for row in rows]
    context = desk_context.renew_for_writes(lease, rows, meters)
    counted = CancelledExams() if exams is None else exams
    changed, _ = run_together(
        desk_context.fan_out,
        lambda: desk_context.writes.cancel_bookings(ids, context),
        lambda: counted.read_states(desk_context, rows, context),
    )
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
    exams_read: CancelledExams,
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
        exam_id: exam
        for exam_id in linked
        if (exam := exams_read.exams.answered(exam_id)) is not None
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
