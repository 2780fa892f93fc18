"""Updates of the fields students may edit: read, decide, write ahead, write.

The values are absolute, so a write whose outcome is not known is simply sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.cancel_group import refuse_or_postpone
from booking_api.desk.groups.credits_and_counts import save_with_follow_ups, tags_of
from booking_api.desk.groups.decision import (
    Turns,
    plan_or_refuse,
    read_requests,
)
from booking_api.desk.groups.ownership import OwnedBookings, read_owned_bookings
from booking_api.desk.journal import journal
from booking_api.desk.journal.answers import ChangedAnswer
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import UpdatePlan
from booking_api.desk.journal.requests import UpdateRequest
from hubspot_sync.batching.outcomes import Found
from hubspot_sync.wire.call_log import CallMeter


def serve_updates(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Take these waiting rows as far as they will go now; each is changed in place and saved.
    Raises LeaseLost."""
    requests = read_requests(rows, UpdateRequest.from_json)
    owned = read_owned_bookings(
        desk_context, list(requests.values()), desk_context.renew_for_calls(lease, meters)
    )
    turns = Turns(desk_context, bookings=owned.bookings.found.values())
    for row in rows:
        if row.id not in requests:
            continue
        plan = partial(_plan_update, desk_context, owned, row, requests[row.id], turns)
        plan_or_refuse(desk_context, row, plan)
    with lease.fenced_transaction():
        begun = journal.begin(lease, rows, desk_context.now())
    change_bookings(
        desk_context, lease, [row for row in begun if row.state == EntryState.WRITING], meters
    )


def change_bookings(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Write what rows that are `writing` have planned; afterwards each is done, refused, or still
    writing because nobody knows. All are saved. Raises LeaseLost."""
    if len(rows) == 0:
        return
    changes = {row.record_id: UpdatePlan.from_json(row.plan).properties for row in rows}
    try:
        changed = desk_context.writes.change_bookings(
            changes, desk_context.renew_for_writes(lease, rows, meters)
        )
    finally:
        desk_context.invalidate_cache(tags_of(rows))
    for row in rows:
        outcome = changed.outcome(row.record_id)
        if isinstance(outcome, Found):
            journal.complete(row)
        else:
            refuse_or_postpone(desk_context, row, outcome)
    save_with_follow_ups(desk_context, lease, rows)


def _plan_update(
    desk_context: DeskContext,
    owned: OwnedBookings,
    row: JournalEntry,
    request: UpdateRequest,
    turns: Turns,
) -> None:
    row.contact_id = owned.require_student(request).contact.id
    seen, booking = owned.require_own(request)
    turns.take_booking(booking)
    row.state, row.in_doubt_since = EntryState.WRITING, desk_context.now()
    row.record_id = booking.id
    row.plan = UpdatePlan(
        properties=desk_context.writes.student_properties(request.fields),
        answer=ChangedAnswer(booking_id=booking.id),
        booking_seen_at=booking.updated_at,
        merged_contacts=seen.contact.merged_ids,
    ).to_json()
