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
from typing import Any, Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import is_final, not_served
from booking_api.desk.groups.credits_and_counts import charge_and_count
from booking_api.desk.groups.decision import decide
from booking_api.desk.groups.decision_inputs import DecisionInputs, read_decision_inputs
from booking_api.desk.groups.ownership import OwnedBookings, read_owned
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.requests import CancelRequest
from booking_api.rules.booking_end import booking_ends_at, booking_status
from booking_api.rules.credits import credit_to_restore
from booking_api.rules.errors import BookingError, InvalidRequest
from booking_api.rules.linked_exam import first_linked_exam
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.wire.call_log import CallMeter

AN_ANSWER: Final = range(200, 300)

log = structlog.get_logger(__name__)


def serve_cancels(
    tools: DeskContext,
    held: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these waiting rows as far as they will go now; each is changed in place and saved.
    Raises LeaseLost."""
    asked = {row.id: CancelRequest.from_json(row.request) for row in rows}
    context = tools.step(held, meters)
    owned = read_owned(tools, list(asked.values()), context)
    facts = read_decision_inputs(tools, (), owned.exam_ids(), context)
    for row in rows:
        decide(row, partial(_plan, tools, owned, facts, row, asked[row.id]))
    with held.fenced():
        begun = journal.begin(held, rows, tools.now())
    planned = [row for row in begun if row.state == EntryState.WRITING]
    cancel_bookings(tools, held, planned, meters)
    written = [row for row in planned if row.state == EntryState.WRITTEN]
    charge_and_count(tools, held, written, _totals(facts, written), meters)


def cancel_bookings(
    tools: DeskContext,
    held: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Mark the bookings of rows that are `writing` cancelled; afterwards each is written, refused,
    or still writing because nobody knows. All are saved. Raises LeaseLost."""
    if len(rows) == 0:
        return
    ids = [row.record_id for row in rows]
    changed = tools.writes.cancel_bookings(ids, tools.step(held, meters))
    for row in rows:
        if row.record_id in changed.found:
            row.state, row.next_attempt_at = EntryState.WRITTEN, None
        else:
            note_unchanged(row, changed.unknown.get(row.record_id), tools)
    with held.fenced():
        journal.save(held, rows, tools.now())


def note_unchanged(row: JournalEntry, error: HubSpotError | None, tools: DeskContext) -> None:
    """A booking's change was not confirmed: refuse it where it certainly was not made, otherwise
    look again. None stands for a booking that is gone. HubSpot's word on one of many (a 207's) is
    certain only where it is a refusal."""
    said = "gone" if error is None else error.safe_text
    log.warning("booking_not_changed", entry=row.id, error=said)
    if error is None or is_final(error):
        journal.refuse(row, InvalidRequest("HubSpot does not accept this change of the booking."))
    elif error.may_have_taken_effect or error.status in AN_ANSWER or row.attempts > 0:
        journal.postpone(row, error, tools.now())
    else:
        journal.refuse(row, not_served(error))


def _plan(
    tools: DeskContext,
    owned: OwnedBookings,
    facts: DecisionInputs,
    row: JournalEntry,
    asked: CancelRequest,
) -> None:
    seen, booking = owned.of(asked)
    linked = owned.exams_of(booking.id)
    exams = {id_: exam for id_ in linked if (exam := facts.exams.answered(id_)) is not None}
    exam = first_linked_exam(linked, exams)
    now = tools.now()
    ends_at = booking_ends_at(booking, exam, tools.profile.time_zone)
    if booking_status(booking.state, ends_at, now) == "completed":
        raise InvalidRequest("This mock exam is over; its booking cannot be cancelled any more.")
    mock_type = booking.mock_type if exam is None else exam.mock_type
    credit = credit_to_restore(tools.profile, booking.token_used, mock_type)
    row.state = EntryState.WRITING
    row.contact_id, row.record_id = seen.contact.id, booking.id
    row.exam_id = "" if exam is None else exam.id
    if credit is not None:
        row.credit_property = credit
        row.credit_before = seen.contact.credits[credit]
        row.credit_after = row.credit_before + 1
        row.contact_seen_at = seen.seen_at
    row.plan = {"answer": _answer(row, booking, exam, asked, shown(now))}


def _answer(
    row: JournalEntry, booking: Booking, exam: MockExam | None, asked: CancelRequest, at: str
) -> dict[str, Any]:
    """What a successful cancel says. The counted seat is right at the latest when the recount that
    stands beside it is done."""
    restored = row.credit_property != ""
    answer: dict[str, Any] = {
        "booking_id": booking.booking_id,
        "status": "cancelled",
        "cancelled_at": at,
        "actions_completed": {
            "soft_delete": True,
            "note_created": True,
            "bookings_decremented": exam is not None,
            "credits_restored": restored,
        },
        "credit_restoration": {
            "credit_type": row.credit_property,
            "amount": 1,
            "new_balance": row.credit_after,
        }
        if restored
        else None,
    }
    if asked.reason:
        answer["reason"] = asked.reason
    return answer


def shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _totals(facts: DecisionInputs, written: Sequence[JournalEntry]) -> dict[str, int]:
    """The counts without what was cancelled, of exams that could be read completely."""
    totals: dict[str, int] = {}
    fewer = Counter(row.exam_id for row in written if row.exam_id != "")
    for exam_id, number in fewer.items():
        try:
            totals[exam_id] = facts.exam(exam_id).active - number
        except (HubSpotError, BookingError) as error:
            log.warning("exam_not_counted", exam=exam_id, error=str(error))
    return totals
