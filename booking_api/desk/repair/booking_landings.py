"""Changes of bookings that HubSpot did not answer: whether they came, may still come, or are to be
sent again.

A change has come where the booking's history shows one of its values, set by us or by nobody else
we know, after the booking was read for the plan. Where the booking has all its values anyway, it
need not be sent. While it may still come it is not sent again, and nothing else of the booking is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.credits_and_counts import save_with_follow_ups, tags_of
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import (
    EntryState,
    JournalEntry,
    RequestKind,
)
from booking_api.desk.journal.plans import CreatePlan, UpdatePlan, read_plan
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.writing.authoritative_reads import source_of


def look_for_landings(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> frozenset[int]:
    """Take the rows further whose changes have come, let those wait that may still come, and return
    the others, by their ids: they are to be sent again. All are saved. Raises LeaseLost."""
    if len(rows) == 0:
        return frozenset()
    planned = {row.id: _planned_values(desk_context, row) for row in rows}
    histories = desk_context.evidence.booking_histories(
        {name for values in planned.values() for name in values},
        {row.record_id for row in rows},
        desk_context.renew_for_calls(lease, meters),
    )
    unsent = []
    for row in rows:
        try:
            booking = histories.answered(row.record_id)
        except HubSpotError as error:
            journal.postpone(row, error, desk_context.now())
            continue
        row.record_id = row.record_id if booking is None else booking.id  # it may have been merged
        if booking is not None and _has_come(row, booking, planned[row.id]):
            _go_on(desk_context, row)
        elif row.in_doubt_since is not None and desk_context.is_in_doubt(row.in_doubt_since):
            until = row.in_doubt_since + desk_context.config.late_write
            journal.await_landing(row, desk_context.now(), until)
        elif booking is not None and _has_values(booking, planned[row.id]):
            _go_on(desk_context, row)
        else:
            row.in_doubt_since = desk_context.now()
            unsent.append(row)
    desk_context.invalidate_cache(tags_of(rows))
    ended = [row for row in rows if row.state in {EntryState.DONE, EntryState.UNDONE}]
    save_with_follow_ups(desk_context, lease, ended)
    with lease.fenced_transaction():
        going_on = [row for row in rows if row not in ended]
        saved = {row.id for row in journal.save(lease, going_on, desk_context.now())}
    return frozenset(row.id for row in unsent if row.id in saved)


def _planned_values(desk_context: DeskContext, row: JournalEntry) -> Mapping[str, str]:
    if row.kind == RequestKind.UPDATE:
        return UpdatePlan.from_json(row.plan).properties
    return desk_context.writes.cancelled_properties()


def _booking_seen_at(row: JournalEntry) -> datetime | None:
    """Return since when a change of the booking may be the row's. A booking that is taken back was
    never cancelled before; of a row begun by an earlier release it is not known: None."""
    plan = read_plan(row)
    if isinstance(plan, CreatePlan):
        return datetime.min.replace(tzinfo=row.arrived_at.tzinfo)
    return plan.booking_seen_at


def _has_come(row: JournalEntry, booking: RawRecord, planned: Mapping[str, str]) -> bool:
    """Whether the history shows the row's change."""
    seen_at = _booking_seen_at(row)
    if seen_at is None:
        return False
    return any(
        (version.value or "") == value
        and value != ""
        and version.at is not None
        and version.at > seen_at
        and source_of(version).may_be(None)
        for name, value in planned.items()
        for version in booking.history.get(name, ())
    )


def _has_values(booking: RawRecord, planned: Mapping[str, str]) -> bool:
    return all((booking.properties.get(name) or "") == value for name, value in planned.items())


def _go_on(desk_context: DeskContext, row: JournalEntry) -> None:
    if row.state == EntryState.UNDOING:
        journal.end_undoing(row)
    elif row.kind == RequestKind.CANCEL:
        journal.go_on_to_credit(row, desk_context.now())
    else:
        journal.complete(row)
