"""Creates: one group's straight line from arrival to answer.

1. Read what decides, for all at once.
2. Decide in memory, in order of arrival: exam, seat, duplicate, credit.
3. Write ahead: plans and refusals go into the journal before HubSpot is asked to write.
4. Create the bookings (booking_creation.py).
5. Charge, count and finish (credits_and_counts.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.booked_days import BookedDays, read_booked_days
from booking_api.desk.groups.booking_creation import create_bookings
from booking_api.desk.groups.credit_plan import CreditPlans
from booking_api.desk.groups.credits_and_counts import charge_and_count
from booking_api.desk.groups.decision import (
    Turns,
    plan_or_refuse,
    read_requests,
)
from booking_api.desk.groups.decision_inputs import DecisionInputs, read_decision_inputs
from booking_api.desk.journal import journal, known_bookings
from booking_api.desk.journal.answers import (
    Associations,
    BookedAnswer,
    CreditDetails,
    ExamDetails,
    MadeLink,
    SpentBreakdown,
)
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import CreatePlan, change_plan
from booking_api.desk.journal.requests import CreateRequest
from booking_api.desk.journal.stored_json import NotUnderstood
from booking_api.rules.credits import (
    Charge,
    choose_charge,
    spendable_credits,
    whole_credits,
)
from booking_api.rules.eligibility import check_exam
from booking_api.rules.errors import (
    AccessDenied,
    AuthFailed,
    ContactNotFound,
    InvalidRequest,
)
from booking_api.rules.seats import seat_key
from booking_api.rules.students import is_theirs
from hubspot_sync.batching.outcomes import Found, Missing, Unknown
from hubspot_sync.errors import Unavailable
from hubspot_sync.portal.booking_ids import format_booking_id
from hubspot_sync.portal.profile import MockType
from hubspot_sync.portal.records import MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.portal_writes import NewBooking

log = structlog.get_logger(__name__)

OwnersByEmail = Mapping[str, Found[SeenContact] | Missing | Unknown]
"""Whom an e-mail belongs to, of those who named a contact that is not theirs."""


def serve_creates(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these waiting rows as far as they will go now; each is changed in place and saved.

    Raises LeaseLost, and then says nothing of what became of the rows.
    """
    context = desk_context.renew_for_calls(lease, meters)
    requests, inputs = _read_requests_and_inputs(desk_context, rows, context)
    asked = list(requests.values())
    days = read_booked_days(desk_context, inputs, asked, context)
    owners = _read_owners_by_email(desk_context, inputs, asked, context)
    contact_ids = {request.contact_id for request in asked}
    turns = Turns(desk_context, (seen.contact for seen in inputs.contacts.found.values()))
    plans = CreditPlans(desk_context, context)
    late = known_bookings.read_late_creates(contact_ids, desk_context.now())
    for row in rows:
        if row.id not in requests:
            continue
        plan_or_refuse(
            desk_context,
            row,
            partial(_plan_create, desk_context, days, row, requests[row.id], owners, turns, plans),
        )
        if row.waits_until is not None:
            turns.keep_place(requests[row.id].mock_exam_id, row.waits_until)
        if row.state == EntryState.WRITING:
            plan = CreatePlan.from_json(row.plan)
            answer = plan.answer.with_warnings(_warn_of_late(inputs, row, late))
            change_plan(row, replace(plan, answer=answer))
    with lease.fenced_transaction():
        begun = journal.begin(lease, rows, desk_context.now())
    planned = [row for row in begun if row.state == EntryState.WRITING]
    if len(planned) == 0:
        return
    planned_for = {row.id: row.exam_id for row in planned}
    create_bookings(desk_context, lease, planned, meters)
    written = [row for row in planned if row.state == EntryState.WRITTEN]
    totals = _reckon_totals(inputs, written, planned_for)
    charge_and_count(desk_context, lease, written, totals, meters)


def _reckon_totals(
    inputs: DecisionInputs, written: Sequence[JournalEntry], planned_for: Mapping[int, str]
) -> dict[str, int]:
    """Return the exams' counts with the bookings just written. `planned_for` has the exams by row
    id as they were before: of two that have become one meanwhile nothing is known any more, and
    whatever has no total here is counted anew."""
    merged: set[str] = set()
    for row in written:
        if row.exam_id != planned_for[row.id]:
            merged |= {row.exam_id, planned_for[row.id]}
    created = Counter(row.exam_id for row in written if row.exam_id not in merged)
    return {exam_id: inputs.exam(exam_id).active + number for exam_id, number in created.items()}


def _read_requests_and_inputs(
    desk_context: DeskContext, rows: Sequence[JournalEntry], context: CallContext
) -> tuple[dict[int, CreateRequest], DecisionInputs]:
    """Return the requests by row id, and what decides them. One that names a contact or an exam by
    the id of a merged one comes out with the survivor's, for whom all is read once more."""
    requests = read_requests(rows, CreateRequest.from_json)
    inputs = _read_inputs(desk_context, requests, context)
    meant = {row_id: _name_survivors(request, inputs) for row_id, request in requests.items()}
    if meant == requests:
        return requests, inputs
    return meant, _read_inputs(desk_context, meant, context)


def _read_inputs(
    desk_context: DeskContext, requests: Mapping[int, CreateRequest], context: CallContext
) -> DecisionInputs:
    contact_ids = {request.contact_id for request in requests.values()}
    exam_ids = {request.mock_exam_id for request in requests.values()}
    return read_decision_inputs(desk_context, contact_ids, exam_ids, context)


def _name_survivors(request: CreateRequest, inputs: DecisionInputs) -> CreateRequest:
    seen = inputs.contacts.if_found(request.contact_id)
    exam = inputs.exams.if_found(request.mock_exam_id)
    return replace(
        request,
        contact_id=request.contact_id if seen is None else seen.contact.id,
        mock_exam_id=request.mock_exam_id if exam is None else exam.id,
    )


def _read_owners_by_email(
    desk_context: DeskContext,
    inputs: DecisionInputs,
    requests: Sequence[CreateRequest],
    context: CallContext,
) -> OwnersByEmail:
    """Read whom the e-mails belong to of those who named a contact that is not theirs: a wrong
    pair is told so, a right one with somebody else's contact is refused."""
    emails = set()
    for request in requests:
        seen = inputs.contacts.if_found(request.contact_id)
        if request.contact_id not in inputs.contacts.unknown and (
            seen is None or not is_theirs(seen.contact, request.pair)
        ):
            emails.add(request.pair.email)
    if len(emails) == 0:
        return {}
    read = desk_context.evidence.contacts_by_email(emails, context)
    return {email: read.outcome(email) for email in emails}


def _require_own_contact(
    inputs: DecisionInputs,
    request: CreateRequest,
    owners_by_email: OwnersByEmail,
) -> SeenContact:
    """Return the contact the request names. Where it is not the student's, raise AuthFailed,
    ContactNotFound or AccessDenied."""
    seen = inputs.contacts.answered(request.contact_id)
    if seen is not None and is_theirs(seen.contact, request.pair):
        if seen.contact.id != request.contact_id:
            raise Unavailable("The contact was merged into another while it was read.")
        return seen
    match owners_by_email[request.pair.email]:
        case Unknown(error):
            raise error
        case Found(owner) if is_theirs(owner.contact, request.pair):
            pass
        case Found() | Missing():
            raise AuthFailed
    if seen is None:
        raise ContactNotFound
    raise AccessDenied("This contact is not yours.")


def _plan_create(
    desk_context: DeskContext,
    days: BookedDays,
    row: JournalEntry,
    request: CreateRequest,
    owners_by_email: OwnersByEmail,
    turns: Turns,
    plans: CreditPlans,
) -> None:
    """Decide in this order: contact, type, exam, seat, duplicate, credit, who waits before. Fill in
    all that follows from it."""
    inputs = days.inputs
    seen = _require_own_contact(inputs, request, owners_by_email)
    row.contact_id = request.contact_id  # of a refusal too: by it, all of a person's rows are found
    mock_type = desk_context.profile.mock_type(request.mock_type)
    if mock_type is None:
        raise InvalidRequest("mock_type: there is no such type of mock exam.")
    now = desk_context.now()
    exam = inputs.exam(request.mock_exam_id)
    check_exam(exam.exam, mock_type=request.mock_type, exam_date=request.exam_date, now=now)
    exam.check_seat()
    days.check_no_duplicate(request)
    cost = choose_charge(seen.contact.credits, mock_type)
    turns.check_nobody_first(request.mock_exam_id)
    turns.take_credits(seen.contact)
    number = exam.take_seat()
    new = _build_booking(row, request, cost, number, now)
    row.state = EntryState.WRITING
    row.exam_id = request.mock_exam_id
    plans.fill_in(row, seen, cost.property_name, (cost.before, cost.after))
    row.plan = CreatePlan(
        properties=desk_context.writes.booking_properties(new),
        seat_number=number,
        answer=_build_answer(row, new, exam.exam, seen, mock_type, cost),
        merged_contacts=seen.contact.merged_ids,
    ).to_json()


def _warn_of_late(
    inputs: DecisionInputs, row: JournalEntry, late: Iterable[JournalEntry]
) -> tuple[str, ...]:
    """Return a sentence for each booking of the student's that was made after they had been told
    that nobody knows, and stands."""
    bookings = inputs.bookings
    standing = [
        each
        for each in late
        if each.contact_id == row.contact_id
        and each.record_id not in bookings.missing
        and not (
            each.record_id in bookings.found and bookings.found[each.record_id].state == "cancelled"
        )
    ]
    return tuple(
        "An earlier request of yours was not answered in time and has been carried out since: your "
        f"seat in the {each.mock_type} mock exam on {each.exam_date.isoformat()} is booked, too."
        for each in _read_earlier(standing)
    )


def _read_earlier(rows: Iterable[JournalEntry]) -> Iterator[CreateRequest]:
    """Yield the requests of rows that are done; one that cannot be read costs its own sentence, not
    the student's next booking."""
    for row in rows:
        try:
            yield CreateRequest.from_json(row.request)
        except NotUnderstood as error:
            log.warning("request_not_understood", entry=row.id, reason=str(error))


def _build_booking(
    row: JournalEntry, request: CreateRequest, cost: Charge, seat: int, now: datetime
) -> NewBooking:
    return NewBooking(
        booking_id=format_booking_id(request.mock_type, request.pair.student_id, request.exam_date),
        name=request.name,
        email=request.pair.email,
        student_id=request.pair.student_id,
        mock_type=request.mock_type,
        exam_date=request.exam_date,
        contact_id=request.contact_id,
        mock_exam_id=request.mock_exam_id,
        token_used=cost.token_label,
        idempotency_key=row.idempotency_key,
        seat_key=seat_key(request.mock_exam_id, seat),
        created_at=now,
        fields=request.fields,
    )


def _build_answer(
    row: JournalEntry,
    new: NewBooking,
    exam: MockExam,
    seen: SeenContact,
    mock_type: MockType,
    cost: Charge,
) -> BookedAnswer:
    """Return what a 201 says; the record's id follows once there is one."""
    before = spendable_credits(seen.contact.credits, mock_type)
    return BookedAnswer(
        booking_id=new.booking_id,
        booking_record_id="",
        confirmation_message=(
            f"Your seat in the {new.mock_type} mock exam on {new.exam_date.isoformat()} is booked."
        ),
        idempotency_key=row.idempotency_key,
        exam_details=ExamDetails(
            mock_exam_id=exam.id,
            exam_date=new.exam_date.isoformat(),
            mock_type=exam.mock_type,
            location=exam.location,
        ),
        credit_details=CreditDetails(
            credit_field_deducted=cost.property_name,
            remaining_credits=whole_credits(cost.after),
            credit_breakdown=SpentBreakdown(
                specific_credits_before_deduction=before.specific,
                shared_credits_before_deduction=before.shared,
                used_field=cost.property_name,
            ),
        ),
        associations=Associations(
            results=(
                MadeLink(type="contact", success=True),
                MadeLink(type="mock_exam", success=True),
            ),
            warnings=(),
            critical_success=True,
        ),
    )
