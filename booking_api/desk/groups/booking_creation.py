"""The create call, and what became of each booking in it.

A create that HubSpot may or may not have carried out stays `writing` until it is found by its unique
key, here or in recovery. One that is refused because of its seat's key gets another seat, if there
is one; one that is refused because its own key is there already was made before, by an earlier
sending or for a request the journal has forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import IdempotencyKeyReused, NotServed, is_final, not_served
from booking_api.desk.groups.decision_inputs import read_decision_inputs
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.rules.errors import BookingError, ContactNotFound, ExamNotFound, InvalidRequest
from booking_api.rules.seats import seat_key
from hubspot_sync.batching.batch import Created, CreateOutcome, NotCreated
from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.portal.records import Booking
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.writing.portal_writes import BookingDraft

SEATS_TRIED: Final = 3
A_CONFLICT: Final = 409
UNIQUE_FIELDS: Final = frozenset({"idempotency_key", "seat_key"})

log = structlog.get_logger(__name__)


def create_bookings(
    tools: DeskContext,
    held: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Create the bookings of rows that are `writing`; afterwards each is written, refused, or still
    writing because nobody knows. All are saved. Raises LeaseLost."""
    waiting = list(rows)
    for _ in range(SEATS_TRIED):
        outcomes = _created(tools, held, waiting, meters)
        conflicts = [row for row in waiting if _is_conflict(tools, outcomes[row.idempotency_key])]
        for row in waiting:
            if row not in conflicts:
                _settle_outcome(tools, row, outcomes[row.idempotency_key])
        with held.fenced():  # what stands now is no longer in doubt when seats are given out anew
            journal.save(held, rows, tools.now())
        waiting = _resolved(tools, held, conflicts, meters)
        if len(waiting) == 0:
            return
    for row in waiting:
        journal.postpone(row, NotServed("HubSpot refused one seat after the other."), tools.now())
    with held.fenced():
        journal.save(held, waiting, tools.now())


def take_as_made(tools: DeskContext, row: JournalEntry, booking: Booking) -> None:
    """Go on with a booking that was found under the row's key, if it is the row's and stands: one
    that is cancelled was an earlier request's, or a person has taken it back."""
    own_name = tools.profile.booking_properties["booking_id"]
    same = booking.booking_id == row.plan["properties"][own_name]
    if same and booking.state != "cancelled":
        _written(row, booking.id)
    else:
        journal.refuse(row, IdempotencyKeyReused())


def _created(
    tools: DeskContext, held: HeldLease, rows: Sequence[JournalEntry], meters: Collection[CallMeter]
) -> Mapping[str, CreateOutcome]:
    drafts = [
        BookingDraft(
            key=row.idempotency_key,
            contact_id=row.contact_id,
            exam_id=row.exam_id,
            properties=row.plan["properties"],
        )
        for row in rows
    ]
    try:
        return tools.writes.create_bookings(drafts, tools.step(held, meters))
    except HubSpotError as error:  # how to link them could not be learnt: nothing was sent
        return {draft.key: NotCreated(error) for draft in drafts}


def _is_conflict(tools: DeskContext, outcome: CreateOutcome) -> bool:
    """Whether a unique value is taken: HubSpot says so with a 409, a 400 naming the property, or a
    207's CONFLICT (hubspot-facts, Objects)."""
    error = outcome.error if isinstance(outcome, NotCreated) else None
    if not isinstance(error, Refused):
        return False
    named = {tools.writes.field_of(name) for name in error.property_names}
    by_word = error.status == A_CONFLICT or error.category == "CONFLICT"
    return by_word or not named.isdisjoint(UNIQUE_FIELDS)


def _settle_outcome(tools: DeskContext, row: JournalEntry, outcome: CreateOutcome) -> None:
    if isinstance(outcome, Created):
        _written(row, outcome.record.id)
    elif isinstance(outcome, NotCreated) and not _may_be_on_its_way(row, outcome.error):
        log.warning("booking_not_created", entry=row.id, error=outcome.error.safe_text)
        journal.refuse(row, _refusal(tools, row, outcome.error))
    else:
        log.warning("booking_unclear", entry=row.id, error=outcome.error.safe_text)
        journal.postpone(row, outcome.error, tools.now())


def _may_be_on_its_way(row: JournalEntry, error: HubSpotError) -> bool:
    """Whether an earlier sending may still arrive: HubSpot's having no time for this one says
    nothing of that one. What HubSpot refuses for its content, it would refuse both times."""
    return row.attempts > 0 and not is_final(error)


def _written(row: JournalEntry, record_id: str) -> None:
    row.state, row.record_id = EntryState.WRITTEN, record_id
    row.next_attempt_at = None
    row.plan["answer"]["booking_record_id"] = record_id


def _refusal(tools: DeskContext, row: JournalEntry, error: HubSpotError) -> BookingError:
    """What HubSpot will not have for this one booking, as far as it says why."""
    if not is_final(error):
        return not_served(error)
    if isinstance(error, NotFound) or error.category == "OBJECT_NOT_FOUND":
        if isinstance(error, Refused) and row.contact_id in error.ids:
            return ContactNotFound()
        return ExamNotFound("The mock exam, or the student, is not there any more.")
    if isinstance(error, Refused) and error.property_names:
        fields = ", ".join(tools.writes.field_of(name) for name in error.property_names)
        return InvalidRequest(f"{fields}: HubSpot does not accept this value.")
    return InvalidRequest("HubSpot does not accept this booking.")


def _resolved(
    tools: DeskContext, held: HeldLease, rows: Sequence[JournalEntry], meters: Collection[CallMeter]
) -> list[JournalEntry]:
    """Look the conflicting rows up by their keys, and save what is found; return those that get
    another seat."""
    if len(rows) == 0:
        return []
    context = tools.step(held, meters)
    found = tools.evidence.bookings_by_key([row.idempotency_key for row in rows], context)
    homeless = []
    for row in rows:
        key = row.idempotency_key
        if key in found.unknown:
            journal.postpone(row, found.unknown[key], tools.now())
        elif key not in found.found:
            homeless.append(row)
        elif row.attempts > 0:
            take_as_made(tools, row, found.found[key])
        else:  # nothing was sent for this row before: the booking is an older request's
            journal.refuse(row, IdempotencyKeyReused())
    if len(homeless) > 0:
        _seat_anew(tools, homeless, context)
    with held.fenced():
        journal.save(held, rows, tools.now())
    return [
        row for row in homeless if row.state == EntryState.WRITING and row.next_attempt_at is None
    ]


def _seat_anew(tools: DeskContext, rows: Sequence[JournalEntry], context: CallContext) -> None:
    """Give each row another seat, if one is free. Whoever has the one it was refused counts, even
    where HubSpot does not list that booking for the exam."""
    facts = read_decision_inputs(
        tools, (), {row.exam_id for row in rows}, context, but=[row.id for row in rows]
    )
    keys = {row.id: seat_key(row.exam_id, row.plan["seat_number"]) for row in rows}
    holders = tools.evidence.bookings_by_seat(keys.values(), context)
    seekers = []
    for row in rows:
        try:
            exam, holder = facts.exam(row.exam_id), holders.answered(keys[row.id])
        except BookingError as refusal:
            journal.refuse(row, refusal)
        except HubSpotError as error:
            journal.postpone(row, error, tools.now())
        else:
            seekers.append((row, exam))
            if holder is not None:
                exam.count_in(holder)
    for row, exam in seekers:
        refused = [*row.plan.get("refused_seats", []), row.plan["seat_number"]]
        try:
            _reseat(tools, row, exam.take_seat(refused), refused)
        except BookingError as refusal:
            journal.refuse(row, refusal)


def _reseat(tools: DeskContext, row: JournalEntry, number: int, refused: Sequence[int]) -> None:
    log.warning("seat_taken", entry=row.id, exam=row.exam_id, seat=row.plan["seat_number"])
    key = seat_key(row.exam_id, number)
    row.plan["properties"] = tools.writes.with_seat(row.plan["properties"], key)
    row.plan["seat_number"], row.plan["refused_seats"] = number, list(refused)
