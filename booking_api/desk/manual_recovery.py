"""Finishing by hand: everything that is waiting is made due now, and what became of it reported.

A running server does the same by itself; this is for an operator who will not wait for the next
attempt, or who has no server running.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import structlog
from django.db.models import Model, QuerySet

from booking_api.desk.errors import UnreadablePlan
from booking_api.desk.factory import BookingDesk
from booking_api.desk.groups.credits_and_counts import save_with_follow_ups
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from booking_api.desk.journal.models import (
    ENDED,
    UNFINISHED,
    CreditReview,
    EntryState,
    JournalEntry,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from hubspot_sync.background.isolation import update_apart
from hubspot_sync.wire.deadlines import Deadline

POLL_INTERVAL_S: Final = 0.2

M = TypeVar("M", bound=Model)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingWork:
    """What is waiting to be done: the ids of rows."""

    entries: frozenset[int]
    notes: frozenset[int]
    recounts: frozenset[int]
    reviews: frozenset[int]

    @property
    def is_empty(self) -> bool:
        return not (self.entries or self.notes or self.recounts or self.reviews)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryReport:
    """What was waiting at the beginning, what ended of it, and what is still waiting.
    `desk_was_busy` says that the lease was not to be had."""

    found: PendingWork
    left: PendingWork
    ended: tuple[JournalEntry, ...]
    unfinished: tuple[JournalEntry, ...]
    notes_sent: int
    notes_refused: int
    desk_was_busy: bool

    @property
    def finished(self) -> bool:
        return self.left.is_empty


def read_pending_work() -> PendingWork:
    """Return what is waiting now."""
    return PendingWork(
        entries=_ids(JournalEntry.objects.filter(state__in=UNFINISHED)),
        notes=_ids(OutboxNote.objects.filter(state__in=(NoteState.WAITING, NoteState.SENDING))),
        recounts=_ids(RecountRequest.objects.all()),
        reviews=_ids(CreditReview.objects.all()),
    )


def make_due(
    entries: Collection[int], notes: Collection[int], now: datetime, recounts: Collection[int] = ()
) -> None:
    """Let these rows be looked at now, given by their ids, where nobody is at work on them. A note
    that is being sent stays with whoever has claimed it; and a credit review is never hurried: it
    must not begin before the desk it is about has fallen silent."""
    unfinished = JournalEntry.objects.filter(id__in=entries, state__in=UNFINISHED)
    waiting = OutboxNote.objects.filter(id__in=notes, state=NoteState.WAITING)
    update_apart(unfinished, _report_unkept, next_attempt_at=None)
    update_apart(waiting, _report_unkept, next_attempt_at=now)
    update_apart(
        RecountRequest.objects.filter(id__in=recounts), _report_unkept, next_attempt_at=now
    )


def _report_unkept(row_id: int, error: Exception) -> None:
    log.error("row_not_made_due", row=row_id, exc_info=error)


def finish_by_hand(
    booking: BookingDesk, deadline: Deadline, pause: Callable[[float], object]
) -> RecoveryReport:
    """Finish what is waiting, until nothing is or the deadline has passed. `pause` waits so many
    seconds."""
    found = read_pending_work()
    make_due(found.entries, found.notes, booking.desk_context.now(), found.recounts)
    busy = not _finish_journal(booking, deadline)
    for worker in booking.workers:
        worker.wake()
    while not read_pending_work().is_empty and deadline.remaining_s() > 0:
        pause(POLL_INTERVAL_S)
        busy = not _finish_journal(booking, deadline)
    return _build_report(found, busy=busy)


def settle_credits(booking: BookingDesk, words: Mapping[int, bool], deadline: Deadline) -> set[int]:
    """Take a person's word for whether the credits of rows were written, by their ids, where no
    history tells any more; return the ids of those that have no such credit, or no plan that can be
    read. Raises TimeoutError where another desk is at work all the time."""

    def settle(lease: HeldLease) -> set[int]:
        open_rows = JournalEntry.objects.filter(id__in=words, state=EntryState.WRITTEN)
        rows = list(open_rows.exclude(credit_property=""))
        settled = [row for row in rows if _settle_credit(row, is_written=words[row.id])]
        save_with_follow_ups(booking.desk_context, lease, settled)
        return set(words) - {row.id for row in settled}

    settled = booking.desk.run(settle)
    try:
        return settled.result(timeout=max(0.0, deadline.remaining_s()))
    except FutureTimeout:
        settled.cancel()
        raise


def _settle_credit(row: JournalEntry, *, is_written: bool) -> bool:
    """Take the word for one row; say whether it could be taken."""
    if not is_written:  # a plan without a value was never sent
        row.credit_before = row.credit_after = None
        row.next_attempt_at = row.in_doubt_since = None
    else:
        try:
            journal.complete(row)
        except UnreadablePlan as error:
            log.warning("credit_not_settled", entry=row.id, reason=error.message)
            return False
    log.warning("credit_settled_by_hand", entry=row.id, written=is_written)
    return True


def _finish_journal(booking: BookingDesk, deadline: Deadline) -> bool:
    """Have the desk finish what is due; return whether it had the lease to do so."""
    finished = booking.desk.finish()
    try:
        finished.result(timeout=max(0.0, deadline.remaining_s()))
    except FutureTimeout:
        return not finished.cancel()
    except LeaseLost as error:
        log.warning("lease_lost", error=str(error))
        return False
    return True


def _build_report(found: PendingWork, *, busy: bool) -> RecoveryReport:
    entries = JournalEntry.objects.filter(id__in=found.entries).order_by("id")
    notes = OutboxNote.objects.filter(id__in=found.notes)
    left = read_pending_work()
    return RecoveryReport(
        found=found,
        left=left,
        ended=tuple(entries.filter(state__in=ENDED)),
        unfinished=tuple(JournalEntry.objects.filter(id__in=left.entries).order_by("id")),
        notes_sent=notes.filter(state=NoteState.SENT).count(),
        notes_refused=notes.filter(state=NoteState.REFUSED).count(),
        desk_was_busy=busy,
    )


def _ids(rows: QuerySet[M]) -> frozenset[int]:
    return frozenset(rows.values_list("pk", flat=True))
