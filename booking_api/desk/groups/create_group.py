"""Creates: one group's straight line from arrival to answer.

1. Read what decides, for all at once.
2. Decide in memory, in order of arrival: exam, seat, duplicate, credit.
3. Write ahead: plans and refusals go into the journal before HubSpot is asked to write.
4. Create the bookings (booking_creation.py).
5. Charge, count and finish (credits_and_counts.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.booking_creation import create_bookings
from booking_api.desk.groups.credits_and_counts import charge_and_count
from booking_api.desk.groups.decision import decide
from booking_api.desk.groups.decision_inputs import DecisionInputs, read_decision_inputs
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.requests import CreateRequest
from booking_api.rules.credits import Charge, charge, spendable
from booking_api.rules.eligibility import (
    check_exam,
    check_no_duplicate,
    seat_key,
)
from booking_api.rules.errors import (
    AccessDenied,
    AuthFailed,
    ContactNotFound,
    InvalidRequest,
)
from booking_api.rules.students import is_theirs
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.booking_ids import format_booking_id
from hubspot_sync.portal.profile import MockType
from hubspot_sync.portal.records import MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.portal_writes import NewBooking

Strangers = Mapping[str, SeenContact | HubSpotError | None]


def serve_creates(
    tools: DeskContext,
    held: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these waiting rows as far as they will go now; each is changed in place and saved.

    Raises LeaseLost, and then says nothing of what became of the rows.
    """
    context = tools.step(held, meters)
    asked = {row.id: CreateRequest.from_json(row.request) for row in rows}
    facts = read_decision_inputs(
        tools,
        {one.contact_id for one in asked.values()},
        {one.mock_exam_id for one in asked.values()},
        context,
    )
    strangers = _strangers(tools, facts, list(asked.values()), context)
    for row in rows:
        decide(row, partial(_plan, tools, facts, row, asked[row.id], strangers))
    with held.fenced():
        begun = journal.begin(held, rows, tools.now())
    planned = [row for row in begun if row.state == EntryState.WRITING]
    if len(planned) == 0:
        return
    create_bookings(tools, held, planned, meters)
    written = [row for row in planned if row.state == EntryState.WRITTEN]
    made = Counter(row.exam_id for row in written)
    totals = {exam_id: facts.exam(exam_id).active + number for exam_id, number in made.items()}
    charge_and_count(tools, held, written, totals, meters)


def _strangers(
    tools: DeskContext, facts: DecisionInputs, asked: Sequence[CreateRequest], context: CallContext
) -> Strangers:
    """Return whom the e-mails belong to of those who named a contact that is not theirs: a wrong
    pair is told so, a right one with somebody else's contact is refused."""
    emails = set()
    for one in asked:
        seen = facts.contacts.found.get(one.contact_id)
        if one.contact_id not in facts.contacts.unknown and (
            seen is None or not is_theirs(seen.contact, one.pair)
        ):
            emails.add(one.pair.email)
    if len(emails) == 0:
        return {}
    read = tools.evidence.contacts_by_email(emails, context)
    return {email: read.unknown.get(email, read.found.get(email)) for email in emails}


def _own_contact(
    facts: DecisionInputs,
    asked: CreateRequest,
    strangers: Strangers,
) -> SeenContact:
    """Return the contact; raise AuthFailed, ContactNotFound or AccessDenied where it is not theirs."""
    seen = facts.contacts.answered(asked.contact_id)
    if seen is not None and is_theirs(seen.contact, asked.pair):
        return seen
    owner = strangers.get(asked.pair.email)
    if isinstance(owner, HubSpotError):
        raise owner
    if owner is None or not is_theirs(owner.contact, asked.pair):
        raise AuthFailed
    if seen is None:
        raise ContactNotFound
    raise AccessDenied("This contact is not yours.")


def _plan(
    tools: DeskContext,
    facts: DecisionInputs,
    row: JournalEntry,
    asked: CreateRequest,
    strangers: Strangers,
) -> None:
    """Decide, in the order of booking.md, and note all that follows from it."""
    seen = _own_contact(facts, asked, strangers)
    mock_type = tools.profile.mock_type(asked.mock_type)
    if mock_type is None:
        raise InvalidRequest("mock_type: there is no such type of mock exam.")
    now = tools.now()
    exam = facts.exam(asked.mock_exam_id)
    check_exam(exam.exam, mock_type=asked.mock_type, exam_date=asked.exam_date, now=now)
    exam.check_seat()
    check_no_duplicate(
        facts.bookings_of_contact(asked.contact_id),
        mock_type=asked.mock_type,
        exam_date=asked.exam_date,
        of_this_exam=exam.bookings.keys(),
    )
    cost = charge(seen.contact.credits, mock_type)
    number = exam.take_seat()
    new = NewBooking(
        booking_id=format_booking_id(asked.mock_type, asked.pair.student_id, asked.exam_date),
        name=asked.name,
        email=asked.pair.email,
        student_id=asked.pair.student_id,
        mock_type=asked.mock_type,
        exam_date=asked.exam_date,
        contact_id=asked.contact_id,
        mock_exam_id=asked.mock_exam_id,
        token_used=cost.token_label,
        idempotency_key=row.idempotency_key,
        seat_key=seat_key(asked.mock_exam_id, number),
        created_at=now,
        fields=asked.fields,
    )
    row.state = EntryState.WRITING
    row.contact_id, row.exam_id = asked.contact_id, asked.mock_exam_id
    row.credit_property = cost.property_name
    row.credit_before, row.credit_after = cost.before, cost.after
    row.contact_seen_at = seen.seen_at
    row.plan = {
        "properties": tools.writes.booking_properties(new),
        "seat_number": number,
        "answer": _answer(row, new, exam.exam, seen, mock_type, cost),
    }


def _answer(
    row: JournalEntry,
    new: NewBooking,
    exam: MockExam,
    seen: SeenContact,
    mock_type: MockType,
    cost: Charge,
) -> dict[str, Any]:
    """What a 201 says; the record's id follows once there is one."""
    before = spendable(seen.contact.credits, mock_type)
    return {
        "booking_id": new.booking_id,
        "booking_record_id": "",
        "confirmation_message": (
            f"Your seat in the {new.mock_type} mock exam on {new.exam_date.isoformat()} is booked."
        ),
        "idempotency_key": row.idempotency_key,
        "exam_details": {
            "mock_exam_id": exam.id,
            "exam_date": new.exam_date.isoformat(),
            "mock_type": exam.mock_type,
            "location": exam.location,
        },
        "credit_details": {
            "credit_field_deducted": cost.property_name,
            "remaining_credits": before.available - 1,
            "credit_breakdown": {
                "specific_credits_before_deduction": before.specific,
                "shared_credits_before_deduction": before.shared,
                "used_field": cost.property_name,
            },
        },
        "associations": {
            "results": [
                {"type": "contact", "success": True},
                {"type": "mock_exam", "success": True},
            ],
            "warnings": [],
            "critical_success": True,
        },
    }
