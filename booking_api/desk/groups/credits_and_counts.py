"""What follows once bookings stand or are cancelled: credits, counts, notes, the answer.

Credits and counts are absolute values, written beside each other in one call each. A credit that
may not have been written leaves its row `written`, for recovery to look at; a count that was not
confirmed is asked for again, because it can always be computed anew. A booking whose charge is
refused for good is taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.credit_plan import planned_change
from booking_api.desk.groups.refused_credits import settle_without_contact, settle_without_credit
from booking_api.desk.journal import follow_ups, journal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.merges import note_merges
from booking_api.desk.journal.models import (
    EntryState,
    JournalEntry,
    OutboxNote,
    RequestKind,
)
from booking_api.desk.journal.plans import contact_ids_of, record_ids_of
from booking_api.desk.notes.note_text import note_body, reference_of
from hubspot_sync.background.isolation import write_apart
from hubspot_sync.batching.outcomes import Many, Unknown
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.reading.tags import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
    tags_with_links,
)
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.portal_writes import CreditChange

log = structlog.get_logger(__name__)


def charge_and_count(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    totals: Mapping[str, int],
    meters: Collection[CallMeter] = (),
) -> None:
    """Write the planned credits of `written` rows, and the `totals` by exam, to HubSpot. Then
    complete the rows, or postpone those whose credit may not have been written; all are saved.
    Those whose charge is refused for good are taken back.

    Raises LeaseLost; the cache shows nothing that may have changed even then.
    """
    if len(rows) == 0:
        return
    changes = _planned_changes(rows)
    try:
        context = desk_context.renew_for_writes(lease, rows, meters)
        credits_, counts = run_together(
            desk_context.fan_out,
            lambda: desk_context.writes.set_credits(changes, context),
            lambda: desk_context.writes.set_totals(totals, context),
        )
        credits_ = _send_without_marks(desk_context, lease, rows, credits_, meters)
    finally:
        show_readers(desk_context, rows)
    survivors = desk_context.evidence.contacts(credits_.missing, context)
    for row in rows:
        _apply_credit_outcome(desk_context, row, credits_, survivors)
    saved = save_with_follow_ups(desk_context, lease, rows, counted=counts.found.keys())
    undoing = [row for row in saved if row.state == EntryState.UNDOING]
    take_back(desk_context, lease, undoing, meters)


def _planned_changes(rows: Sequence[JournalEntry]) -> dict[str, CreditChange]:
    """Return the changes by contact. Two of one contact are never written together: planned from
    one balance they would be one."""
    planned = [
        (row.contact_id, change) for row in rows if (change := planned_change(row)) is not None
    ]
    changes = dict(planned)
    assert len(changes) == len(planned), "two changes of one contact's credits at once"  # noqa: S101
    return changes


def _send_without_marks(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    credits_: Many[RawRecord],
    meters: Collection[CallMeter],
) -> Many[RawRecord]:
    """Send again, without their marks, the credits that were refused for them: the property has
    gone. Saved before: nobody is to look for a mark that never comes. Return what became of all."""
    writes = desk_context.writes
    refused = [row for row in rows if row.credit_mark and row.contact_id in credits_.unknown]
    if len(refused) == 0:
        return credits_
    context = desk_context.renew_for_calls(lease, meters)
    refused = [
        row
        for row in refused
        if writes.is_refused_for_mark(credits_.unknown[row.contact_id], context)
    ]
    if len(refused) == 0:
        return credits_
    log.warning("credit_marks_refused", entries=[row.id for row in refused])
    for row in refused:
        row.credit_mark = ""
    with lease.fenced_transaction():
        saved = journal.save(lease, refused, desk_context.now())
    context = desk_context.renew_for_calls(lease, meters)
    again = writes.set_credits(_planned_changes(saved), context)
    sent = again.found.keys() | again.missing | again.unknown.keys()
    return Many(
        found={**credits_.found, **again.found},
        missing=credits_.missing | again.missing,
        unknown={key: error for key, error in credits_.unknown.items() if key not in sent}
        | dict(again.unknown),
    )


def take_back(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    meters: Collection[CallMeter] = (),
) -> None:
    """Cancel the bookings of rows that are saved as `undoing`; afterwards each is undone, or still
    undoing because nobody knows. One that is gone is cancelled. All are saved. Raises LeaseLost."""
    if len(rows) == 0:
        return
    ids = [row.record_id for row in rows]
    try:
        changed = desk_context.writes.cancel_bookings(
            ids, desk_context.renew_for_writes(lease, rows, meters)
        )
    finally:
        desk_context.invalidate_cache(tags_of(rows))
    for row in rows:
        outcome = changed.outcome(row.record_id)
        if isinstance(outcome, Unknown):
            error = outcome.error
            log.warning("booking_not_taken_back", entry=row.id, error=error.safe_text)
            journal.postpone_unanswered(row, error, desk_context.now())
        else:
            journal.end_undoing(row)
    save_with_follow_ups(desk_context, lease, rows)


def save_with_follow_ups(
    desk_context: DeskContext,
    lease: HeldLease,
    rows: Sequence[JournalEntry],
    counted: Collection[str] = (),
) -> list[JournalEntry]:
    """Save the rows, with the notes of those that are done, and with recounts of their exams but
    those whose count has been written, `counted`; return those that could be saved. A row that
    cannot has no note yet."""
    uncounted = {row.exam_id for row in rows if row.exam_id != ""} - set(counted)
    now = desk_context.now()

    def store_notes(part: Sequence[JournalEntry]) -> None:
        notes = [_build_note(row, now) for row in part]
        OutboxNote.objects.bulk_create(notes, ignore_conflicts=True)

    with lease.fenced_transaction():
        saved = journal.save(lease, rows, now)
        done = [row for row in rows if row.state in {EntryState.DONE, EntryState.OWING}]
        noted = [row for row in done if row.kind != RequestKind.UPDATE]
        write_apart(noted, store_notes, _report_unstored_note)
        follow_ups.request_recounts(uncounted, now)
        note_merges(ids for row in saved if len(ids := contact_ids_of(row)) > 1)
    return saved


def show_readers(desk_context: DeskContext, rows: Sequence[JournalEntry]) -> None:
    """Let readers see what these rows have changed, before anybody is told that they have."""
    made = [row for row in rows if row.kind == RequestKind.CREATE and row.record_id != ""]
    if len(made) > 0:
        desk_context.keep_links(
            {each for row in made for each in contact_ids_of(row)},
            {row.exam_id for row in made if row.exam_id != ""},
            {row.record_id for row in made},
        )
    desk_context.invalidate_cache(tags_of(rows))


def tags_of(rows: Sequence[JournalEntry]) -> set[str]:
    """Return the cache tags of all records that these rows changed."""
    tags: set[str] = set()
    for row in rows:
        for contact_id in contact_ids_of(row):
            tags |= {contact_tag(contact_id), contact_bookings_tag(contact_id)}
        if row.exam_id:
            tags |= {exam_tag(row.exam_id), exam_bookings_tag(row.exam_id)}
        for record_id in record_ids_of(row):
            tags |= tags_with_links(booking_tag(record_id))
    return tags


def _apply_credit_outcome(
    desk_context: DeskContext,
    row: JournalEntry,
    credits_: Many[RawRecord],
    survivors: Many[SeenContact],
) -> None:
    """`survivors` has of those contacts that are gone the ones they were merged into."""
    if row.credit_property != "" and row.credit_after is None:
        row.next_attempt_at = None  # at once: a survivor is charged, by a plan of its own
    elif row.credit_property == "" or row.contact_id in credits_.found:
        journal.complete(row)
    elif row.contact_id in survivors.found:
        row.next_attempt_at = row.in_doubt_since = None  # as above
    elif row.contact_id in survivors.missing:
        settle_without_contact(row, desk_context.now())
    elif row.contact_id in survivors.unknown:
        journal.postpone(row, survivors.unknown[row.contact_id], desk_context.now())
    elif not settle_without_credit(desk_context, row, error := credits_.unknown[row.contact_id]):
        log.warning("credit_unclear", entry=row.id, error=error.safe_text)
        journal.postpone_unanswered(row, error, desk_context.now())


def _report_unstored_note(row: JournalEntry, error: Exception) -> None:
    """The booking and its credit are right without: they do not wait for a note."""
    log.error("note_not_stored", entry=row.id, exc_info=error)


def _build_note(row: JournalEntry, now: datetime) -> OutboxNote:
    return OutboxNote(
        entry=row,
        contact_id=row.contact_id,
        body=note_body(row),
        reference=reference_of(row),
        noted_at=row.arrived_at,
        next_attempt_at=now,
    )
