"""What follows once bookings stand or are cancelled: credits, counts, notes, the answer.

Credits and counts are absolute values, written beside each other in one call each. A credit that
may not have been written leaves its row `written`, for recovery to look at; a count that was not
confirmed is asked for again, because it can always be computed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import EntryState, JournalEntry, OutboxNote, RequestKind
from booking_api.desk.notes.note_text import note_body, reference_of
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.reading.cache_families import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
)
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.fan_out import run_together

log = structlog.get_logger(__name__)


def charge_and_count(
    tools: DeskContext,
    held: HeldLease,
    rows: Sequence[JournalEntry],
    totals: Mapping[str, int],
    meters: Collection[CallMeter] = (),
) -> None:
    """Write the planned credits of `written` rows and these exams' counts, and finish.

    Raises LeaseLost; the cache has forgotten what may have changed even then.
    """
    if len(rows) == 0:
        return
    balances = {
        row.contact_id: (row.credit_property, row.credit_after)
        for row in rows
        if row.credit_property != "" and row.credit_after is not None
    }
    try:
        context = tools.step(held, meters)
        credits_, counts = run_together(
            tools.fan_out,
            lambda: tools.writes.set_credits(balances, context),
            lambda: tools.writes.set_totals(totals, context),
        )
    finally:
        tools.forget(tags_of(rows))
    for row in rows:
        _take_outcome(row, credits_, tools.now())
    finish_rows(tools, held, rows, counted=counts.found)


def finish_rows(
    tools: DeskContext, held: HeldLease, rows: Sequence[JournalEntry], counted: Collection[str] = ()
) -> None:
    """Save the rows, and with those that are done their notes; an exam not `counted` is to be
    counted again."""
    done = [row for row in rows if row.state == EntryState.DONE]
    uncounted = {row.exam_id for row in rows if row.exam_id != ""} - set(counted)
    now = tools.now()
    with held.fenced():
        journal.save(held, rows, now)
        notes = [_note(row, now) for row in done if row.kind != RequestKind.UPDATE]
        OutboxNote.objects.bulk_create(notes, ignore_conflicts=True)
        journal.request_recounts(uncounted, now)


def mark_done(row: JournalEntry) -> None:
    """Let the row end with its planned answer."""
    row.state = EntryState.DONE
    row.answer = row.plan["answer"]
    row.next_attempt_at = None


def tags_of(rows: Sequence[JournalEntry]) -> set[str]:
    """Return the tags of all that shows what these rows changed."""
    tags: set[str] = set()
    for row in rows:
        if row.contact_id:
            tags |= {contact_tag(row.contact_id), contact_bookings_tag(row.contact_id)}
        if row.exam_id:
            tags |= {exam_tag(row.exam_id), exam_bookings_tag(row.exam_id)}
        if row.record_id:
            tags.add(booking_tag(row.record_id))
    return tags


def _take_outcome(row: JournalEntry, credits_: Many[RawRecord], now: datetime) -> None:
    if row.credit_property == "" or row.contact_id in credits_.found:
        mark_done(row)
    elif row.contact_id in credits_.missing:
        row.last_error = "The contact was deleted before its credit could be written."
        log.error("credit_not_written", entry=row.id, reason="contact deleted")
        mark_done(row)
    else:
        error = credits_.unknown[row.contact_id]
        log.warning("credit_unclear", entry=row.id, error=error.safe_text)
        journal.postpone(row, error, now)


def _note(row: JournalEntry, now: datetime) -> OutboxNote:
    return OutboxNote(
        entry=row,
        contact_id=row.contact_id,
        body=note_body(row),
        reference=reference_of(row),
        noted_at=row.arrived_at,
        next_attempt_at=now,
    )
