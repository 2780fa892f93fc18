"""The create call, and what became of each booking in it.

A create that HubSpot may or may not have carried out stays `writing` until it is found by its
unique key, here or in recovery. One that is refused because of its seat's key gets another seat, if
there is one; one that is refused because its own key is there already was made before, by an
earlier sending or for a request the journal has forgotten. One whose contact or exam was merged
into another meanwhile is linked to the survivor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import (
    DeskUnavailable,
    IdempotencyKeyReused,
    build_outlived_key,
    is_about_missing,
    is_final_refusal,
    storable_text,
    unavailable_from,
)
from booking_api.desk.groups.decision_inputs import (
    DecisionInputs,
    ExamInputs,
    read_decision_inputs,
)
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import CreatePlan, change_plan
from booking_api.rules.errors import BookingError, ContactNotFound, ExamNotFound, InvalidRequest
from booking_api.rules.seats import seat_key
from hubspot_sync.batching.batch import Created, CreateOutcome, NotCreated
from hubspot_sync.batching.outcomes import Found, Many, Missing, Unknown
from hubspot_sync.errors import HubSpotError, Refused
from hubspot_sync.portal.records import Booking, MockExam, ids_of
from hubspot_sync.reading.overlaid_links import add_unshown, exams_of_bookings
from hubspot_sync.reading.own_links import MAX_LINK_LAG
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.portal_writes import BookingDraft

UNEXPLAINED_CONFLICT: Final = "HubSpot does not accept this booking: it calls a value taken."
MAX_SEAT_ATTEMPTS: Final = 3
MAX_SEATS_LOOKED_UP: Final = 100
"""Of an exam, in one call: people may have moved many bookings away that name its seats still."""
CONFLICT_STATUS: Final = 409
UNIQUE_FIELDS: Final = frozenset({"idempotency_key", "seat_key"})

log = structlog.get_logger(__name__)


def create_bookings(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Create the bookings of rows that are `writing`; afterwards each is written, refused, or still
    writing because nobody knows. All are saved. Raises LeaseLost."""
    waiting = list(rows)
    for _ in range(MAX_SEAT_ATTEMPTS):
        outcomes = _send_creates(desk_context, lease, waiting, meters)
        conflicts = [
            row for row in waiting if _is_conflict(desk_context, outcomes[row.idempotency_key])
        ]
        links = _look_up_links(desk_context, lease, waiting, outcomes, meters)
        moved = [row for row in waiting if links.move_to_survivors(row)]
        for row in waiting:
            if row not in conflicts and row not in moved:
                _apply_outcome(
                    desk_context, row, outcomes[row.idempotency_key], links.contacts.missing
                )
        # What stands now is no longer in doubt when seats are given out anew.
        with lease.fenced_transaction():
            saved = {row.id for row in journal.save(lease, rows, desk_context.now())}
        conflicts = [row for row in conflicts if row.id in saved]
        waiting = [row for row in moved if row.id in saved]
        waiting += _resolve_conflicts(desk_context, lease, conflicts, meters)
        if len(waiting) == 0:
            return
    for row in waiting:
        journal.postpone(
            row, DeskUnavailable("HubSpot refused one seat after the other."), desk_context.now()
        )
    with lease.fenced_transaction():
        journal.save(lease, waiting, desk_context.now())


def adopt_found_booking(desk_context: DeskContext, row: JournalEntry, booking: Booking) -> None:
    """Go on with a booking that was found under the row's key, if it is the row's and stands: one
    that is cancelled was an earlier request's, or a person has taken it back."""
    if _is_rows(desk_context, row, booking) and booking.state != "cancelled":
        _mark_written(row, booking.id, desk_context.now())
    else:
        _refuse_used_key(desk_context, row, booking)


def _is_rows(desk_context: DeskContext, row: JournalEntry, booking: Booking) -> bool:
    id_property = desk_context.profile.booking_properties["booking_id"]
    return booking.booking_id == CreatePlan.from_json(row.plan).property_value(id_property)


def _refuse_used_key(desk_context: DeskContext, row: JournalEntry, booking: Booking) -> None:
    """Refuse a row whose key has made this booking before."""
    is_outlived = _is_rows(desk_context, row, booking) and booking.state == "cancelled"
    journal.refuse(row, build_outlived_key() if is_outlived else IdempotencyKeyReused())


def _send_creates(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> Mapping[str, CreateOutcome]:
    drafts = [
        BookingDraft(
            key=row.idempotency_key,
            contact_id=row.contact_id,
            exam_id=row.exam_id,
            properties=CreatePlan.from_json(row.plan).properties,
        )
        for row in rows
    ]
    try:
        return desk_context.writes.create_bookings(
            drafts, desk_context.renew_for_calls(lease, meters)
        )
    except HubSpotError as error:  # how to link them could not be learnt: nothing was sent
        return {draft.key: NotCreated(error) for draft in drafts}


def _is_conflict(desk_context: DeskContext, outcome: CreateOutcome) -> bool:
    """Whether a unique value is taken: HubSpot says so with a 409, a 400 naming the property, or a
    207's CONFLICT (hubspot-facts, Objects)."""
    error = outcome.error if isinstance(outcome, NotCreated) else None
    if not isinstance(error, Refused):
        return False
    named_fields = {desk_context.writes.field_of(name) for name in error.property_names}
    says_conflict = error.status == CONFLICT_STATUS or error.category == "CONFLICT"
    return says_conflict or not named_fields.isdisjoint(UNIQUE_FIELDS)


@dataclass(frozen=True, slots=True)
class _MissingLinks:
    """What is there of the contacts and exams of rows that HubSpot refused because something they
    link to is missing: it seldom says what. By the ids that the rows have."""

    contacts: Many[SeenContact]
    exams: Many[MockExam]

    def move_to_survivors(self, row: JournalEntry) -> bool:
        """Name the survivors where the row's contact or exam was merged; say whether one was."""
        seen, exam = self.contacts.if_found(row.contact_id), self.exams.if_found(row.exam_id)
        contact_id = row.contact_id if seen is None else seen.contact.id
        exam_id = row.exam_id if exam is None else exam.id
        is_moved = (contact_id, exam_id) != (row.contact_id, row.exam_id)
        if contact_id != row.contact_id:
            row.credit_before = row.credit_after = None  # another balance: recovery plans anew
        row.contact_id, row.exam_id = contact_id, exam_id
        return is_moved


def _look_up_links(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    outcomes: Mapping[str, CreateOutcome],
    meters: Collection[CallMeter],
) -> _MissingLinks:
    """Read the contacts and exams of the rows that HubSpot refused because one is missing."""
    refused = [
        row
        for row in rows
        if isinstance(outcome := outcomes[row.idempotency_key], NotCreated)
        and is_about_missing(outcome.error)
    ]
    if len(refused) == 0:
        return _MissingLinks(Many({}), Many({}))
    context = desk_context.renew_for_calls(lease, meters)
    contacts, exams = run_together(
        desk_context.fan_out,
        lambda: desk_context.evidence.contacts({row.contact_id for row in refused}, context),
        lambda: desk_context.hubspot.exams({row.exam_id for row in refused}, context),
    )
    return _MissingLinks(contacts, exams)


def _apply_outcome(
    desk_context: DeskContext,
    row: JournalEntry,
    outcome: CreateOutcome,
    gone_contacts: Collection[str],
) -> None:
    if isinstance(outcome, Created):
        _mark_written(row, outcome.record.id, desk_context.now())
    elif isinstance(outcome, NotCreated) and not _may_still_arrive(row, outcome.error):
        log.warning("booking_not_created", entry=row.id, error=outcome.error.safe_text)
        journal.refuse(row, _explain_refusal(desk_context, row, outcome.error, gone_contacts))
    else:
        log.warning("booking_unclear", entry=row.id, error=outcome.error.safe_text)
        journal.postpone(row, outcome.error, desk_context.now())


def _may_still_arrive(row: JournalEntry, error: HubSpotError) -> bool:
    """Whether an earlier sending may still arrive: HubSpot's having no time for this one says
    nothing of that one. What HubSpot refuses for its content, it would refuse both times."""
    return row.attempts > 0 and not is_final_refusal(error)


def _mark_written(row: JournalEntry, record_id: str, now: datetime) -> None:
    """From now on the charge may be under way."""
    plan = CreatePlan.from_json(row.plan)
    row.state, row.record_id = EntryState.WRITTEN, record_id
    row.next_attempt_at, row.in_doubt_since = None, now
    change_plan(row, replace(plan, answer=plan.answer.with_record(record_id)))


def _explain_refusal(
    desk_context: DeskContext,
    row: JournalEntry,
    error: HubSpotError,
    gone_contacts: Collection[str],
) -> BookingError:
    """Return what to tell the student, as far as HubSpot says why it refuses this booking."""
    if not is_final_refusal(error):
        return unavailable_from(error)
    if is_about_missing(error):
        if row.contact_id in gone_contacts:
            return ContactNotFound()
        return ExamNotFound("The mock exam, or the student, is not there any more.")
    if isinstance(error, Refused) and error.property_names:
        fields = ", ".join(desk_context.writes.field_of(name) for name in error.property_names)
        return InvalidRequest(f"{fields}: HubSpot does not accept this value.")
    return InvalidRequest("HubSpot does not accept this booking.")


def _resolve_conflicts(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter],
) -> list[JournalEntry]:
    """Look the conflicting rows up by their keys, and save what is found; return those that get
    another seat."""
    if len(rows) == 0:
        return []
    context = desk_context.renew_for_calls(lease, meters)
    found = desk_context.evidence.bookings_by_key([row.idempotency_key for row in rows], context)
    without_seat = []
    for row in rows:
        match found.outcome(row.idempotency_key):
            case Unknown(error):
                journal.postpone(row, error, desk_context.now())
            case Missing():
                without_seat.append(row)
            case Found(booking) if row.attempts > 0:
                adopt_found_booking(desk_context, row, booking)
            case Found(booking):  # nothing was sent for this row before: an older request's
                _refuse_used_key(desk_context, row, booking)
    if len(without_seat) > 0:
        _reassign_seats(desk_context, without_seat, context)
    with lease.fenced_transaction():
        journal.save(lease, rows, desk_context.now())
    return [
        row
        for row in without_seat
        if row.state == EntryState.WRITING and row.next_attempt_at is None
    ]


def _reassign_seats(
    desk_context: DeskContext, rows: Sequence[JournalEntry], context: CallContext
) -> None:
    """Give each row another seat, if one is free, whose name nobody has either."""
    inputs = read_decision_inputs(
        desk_context,
        (),
        {row.exam_id for row in rows},
        context,
        excluded_rows=[row.id for row in rows],
    )
    holders = _find_holders(desk_context, inputs, rows, context)
    seekers = []
    for row in rows:
        plan = CreatePlan.from_json(row.plan)
        try:
            exam = inputs.exam(row.exam_id)
            holder = holders.answered(seat_key(row.exam_id, plan.seat_number))
        except BookingError as refusal:
            journal.refuse(row, refusal)
        except HubSpotError as error:
            journal.postpone(row, error, desk_context.now())
        else:
            if holder is not None or exam.is_seat_named(plan.seat_number):
                seekers.append((row, plan, exam))
            elif _is_seat_blameless(row, plan):
                journal.refuse(row, InvalidRequest(UNEXPLAINED_CONFLICT))
            else:
                seekers.append((row, replace(plan, unexplained_conflicts=1), exam))
    for row, plan, exam in seekers:
        refused = (*plan.refused_seats, plan.seat_number)
        try:
            _change_seat(desk_context, row, replace(plan, refused_seats=refused), exam)
        except BookingError as refusal:
            journal.refuse(row, refusal)


def _find_holders(
    desk_context: DeskContext,
    inputs: DecisionInputs,
    rows: Sequence[JournalEntry],
    context: CallContext,
) -> Many[Booking]:
    """Return who has the seats that these rows were refused and those they might get next, by the
    seats' names, and tell the exams. One made so lately that HubSpot may not list it for the exam
    yet counts; another was moved to another exam by a person, and has no more than the name.
    """
    numbers_of = {row.id: CreatePlan.from_json(row.plan).seat_number for row in rows}
    names = {seat_key(row.exam_id, numbers_of[row.id]): None for row in rows}
    seats: dict[str, tuple[ExamInputs, int]] = {}
    for exam_id in {row.exam_id for row in rows}:
        try:
            exam = inputs.exam(exam_id)
        except (BookingError, HubSpotError) as error:  # asked for again, it ends the exam's rows
            log.info("seats_unknown", exam=exam_id, error=storable_text(error))
            continue
        refused = {numbers_of[row.id] for row in rows if row.exam_id == exam_id}
        numbers = refused.union(exam.list_unnamed(MAX_SEATS_LOOKED_UP))
        seats |= {seat_key(exam_id, number): (exam, number) for number in numbers}
    holders = desk_context.evidence.bookings_by_seat({**names, **seats}, context)
    lately = desk_context.now() - MAX_LINK_LAG
    made_lately: list[tuple[ExamInputs, Booking]] = []
    for key in seats.keys() & holders.found.keys():
        (exam, number), holder = seats[key], holders.found[key]
        exam.numbers.add(number)
        if holder.created_at is None or holder.created_at > lately:
            made_lately.append((exam, holder))
    _count_in_standing(desk_context, made_lately, context)
    return holders


def _count_in_standing(
    desk_context: DeskContext,
    made_lately: Collection[tuple[ExamInputs, Booking]],
    context: CallContext,
) -> None:
    """Count each booking in its exam, unless a person has moved it away; where that cannot be
    learnt, too."""
    made: dict[str, tuple[str, ...]] = {}
    for exam, booking in made_lately:
        made[exam.exam.id] = (*made.get(exam.exam.id, ()), booking.id)
    exams = {exam.exam.id: exam for exam, _ in made_lately}
    standing = add_unshown(
        Many(found={exam_id: tuple(exam.bookings) for exam_id, exam in exams.items()}),
        made,
        {exam_id: ids_of(exam.exam) for exam_id, exam in exams.items()},
        exams_of_bookings(desk_context.hubspot, desk_context.recent),
        context,
    )
    for exam, booking in made_lately:
        shown = standing.if_found(exam.exam.id)
        if shown is None or booking.id in shown:
            exam.count_in(booking)


def _is_seat_blameless(row: JournalEntry, plan: CreatePlan) -> bool:
    """Whether another seat would not help: nobody had the one before this either, so HubSpot
    refuses something else of this booking. Not said of a row whose earlier sending may arrive."""
    return plan.unexplained_conflicts > 0 and row.attempts == 0


def _change_seat(
    desk_context: DeskContext, row: JournalEntry, plan: CreatePlan, exam: ExamInputs
) -> None:
    """Plan the booking with the exam's next seat; raise ExamFull."""
    number = exam.take_seat(plan.refused_seats)
    log.warning("seat_taken", entry=row.id, exam=row.exam_id, seat=plan.seat_number)
    properties = desk_context.writes.with_seat(plan.properties, seat_key(row.exam_id, number))
    change_plan(row, replace(plan, properties=properties, seat_number=number))
