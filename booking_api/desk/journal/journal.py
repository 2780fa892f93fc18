"""The journal: rows in their order of arrival, written only by whoever holds the lease.

`queued → writing → written → done`, or `refused` before anything was written. A row is `writing`
from before HubSpot is first asked to write until it is known that it did; `written` until its
credit, count and note have followed. What is unfinished is finished, but for a credit that HubSpot
refuses for good (models.py): `written → undoing → undone`, or `owing`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.db.models import Q, QuerySet

from booking_api.desk import errors
from booking_api.desk.config import MAX_GROUP_SIZE
from booking_api.desk.journal.answers import CanceledAnswer, Refusal
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import (
    ENDED,
    UNFINISHED,
    UNSETTLED,
    CreditReview,
    EntryState,
    JournalEntry,
    OutboxNote,
    RequestKind,
)
from booking_api.desk.journal.plans import CreatePlan, change_plan, planned_answer
from booking_api.rules.errors import BookingError
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.isolation import update_apart, write_apart
from hubspot_sync.errors import HubSpotError, RateLimited

MAX_WAITING_READ: Final = 5 * MAX_GROUP_SIZE
"""Of so many waiting rows a group is chosen: students with several take up one place each."""
FIRST_RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 60.0
FIRST_OWED_RETRY_S: Final = 60.0
PUT_OFF_S: Final = 5.0
MAX_LOOK_AGAIN_S: Final = 10.0
MAX_OWED_RETRY_S: Final = 3_600.0
"""A credit that HubSpot refuses waits for a person."""
MAX_ATTEMPTS_TOGETHER: Final = 3
"""A row that has failed so often is taken up by itself."""

log = structlog.get_logger(__name__)

LeaveOut = Callable[[int, Exception], object]
"""Gets the id of a row that our database refuses to change."""

MUTABLE_FIELDS = (
    *("state", "plan", "contact_id", "exam_id", "record_id", "credit_property", "credit_before"),
    *(
        "credit_after",
        "contact_seen_at",
        "credit_mark",
        "in_doubt_since",
        "epoch",
        "changed_at",
        "attempts",
        "next_attempt_at",
    ),
    *("last_error", "answer"),
)


def read_next_group(
    kinds: Collection[RequestKind],
    now: datetime,
    late_write: timedelta,
    left_out: Collection[int] = (),
) -> list[JournalEntry]:
    """Return the oldest waiting rows: at most a group of them, one for each student, none of a
    student of whom something is unsettled, or corrected so lately that it may still come, and none
    that is left out, by its id. A student is a contact: e-mails are changed. By the e-mail goes
    only a row whose contact is not known."""
    unsettled = JournalEntry.objects.filter(state__in=UNSETTLED)
    waiting = JournalEntry.objects.filter(
        state=EntryState.QUEUED, kind__in=kinds, wanted_until__gt=now
    )
    # In the query: one student's many rows must not be all that is read.
    waiting = (
        waiting.exclude(id__in=left_out)
        .exclude(~Q(contact_id=""), contact_id__in=unsettled.values("contact_id"))
        .exclude(contact_id="", email__in=unsettled.values("email"))
        .exclude(contact_id__in=reviews_in_doubt(now - late_write).values("subject_id"))
        .order_by("id")
    )
    group: dict[tuple[str, str], JournalEntry] = {}
    for row in waiting[:MAX_WAITING_READ]:
        if len(group) < MAX_GROUP_SIZE:
            student = (row.contact_id, "" if row.contact_id else row.email)
            group.setdefault(student, row)
    return list(group.values())


def find_end(error: RateLimited, now: datetime) -> datetime:
    """Return when HubSpot takes calls again, as this error says that has just been raised."""
    return now + timedelta(seconds=error.retry_after_s or 0.0)


def let_wait(row: JournalEntry, error: HubSpotError, now: datetime) -> bool:
    """Have a row of which nothing was begun stay in the queue until HubSpot takes calls again; say
    whether it can, because its caller still waits then. Not every limit pauses all calls: the row
    would be looked at again at once."""
    return isinstance(error, RateLimited) and let_wait_until(row, find_end(error, now))


def let_wait_until(row: JournalEntry, end: datetime) -> bool:
    """As `let_wait`, until then."""
    waits = end < row.wanted_until
    if waits:
        row.waits_until = end
    return waits


def keep_queued(rows: Collection[JournalEntry]) -> list[JournalEntry]:
    """Return those of the rows that wait still."""
    if len(rows) == 0:
        return []
    queued = JournalEntry.objects.filter(id__in=[row.id for row in rows], state=EntryState.QUEUED)
    ids = set(queued.values_list("id", flat=True))
    return [row for row in rows if row.id in ids]


def refuse_hopeless(rows: Iterable[JournalEntry], now: datetime, leave_out: LeaveOut) -> None:
    """Refuse rows, where they wait still, whose callers have gone by the time until which each
    would wait; nothing has happened for them."""
    by_end: dict[datetime, list[int]] = defaultdict(list)
    for row in rows:
        by_end[now if row.waits_until is None else row.waits_until].append(row.id)
    for until, ids in by_end.items():
        refused = errors.TooBusy()
        refused.retry_after_s = max(1, math.ceil((until - now).total_seconds()))
        update_apart(
            JournalEntry.objects.filter(id__in=ids, state=EntryState.QUEUED),
            leave_out,
            state=EntryState.REFUSED,
            changed_at=now,
            answer=Refusal.of(refused).to_json(),
        )


def reviews_in_doubt(since: datetime) -> QuerySet[CreditReview]:
    """Return the reviews whose correction was not answered since then."""
    return CreditReview.objects.filter(in_doubt_since__gt=since)


def refuse_expired(now: datetime, leave_out: LeaveOut, left_out: Collection[int] = ()) -> int:
    """Refuse the rows nobody waits for any more, but those left out; nothing has happened for them.
    Return how many."""
    expired = JournalEntry.objects.filter(state=EntryState.QUEUED, wanted_until__lte=now)
    return update_apart(
        expired.exclude(id__in=left_out),
        leave_out,
        state=EntryState.REFUSED,
        changed_at=now,
        answer=Refusal.of(errors.TooBusy()).to_json(),
    )


def read_unfinished(now: datetime, left_out: Collection[int] = ()) -> list[JournalEntry]:
    """Return what was begun and is due to be looked at again, at most a group of it, and nothing
    that is left out."""
    due = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    rows = JournalEntry.objects.filter(due, state__in=UNFINISHED).exclude(id__in=left_out)
    return list(rows.order_by("id")[:MAX_GROUP_SIZE])


def read_again(rows: Iterable[JournalEntry]) -> list[JournalEntry]:
    """Return these rows as the journal has them now."""
    return list(JournalEntry.objects.filter(id__in=[row.id for row in rows]).order_by("id"))


def begin(lease: HeldLease, rows: Iterable[JournalEntry], now: datetime) -> list[JournalEntry]:
    """Write what was decided of waiting rows, inside `lease.fenced_transaction()`, and return those
    rows. One whose caller has given it up meanwhile is left as it is: that caller was told that
    nothing was changed. So is one that was not decided, and waits on."""
    decided = [row for row in rows if row.state != EntryState.QUEUED]
    ids = [row.id for row in decided]
    queued = JournalEntry.objects.filter(id__in=ids, state=EntryState.QUEUED)
    waiting = set(queued.select_for_update().values_list("id", flat=True))
    begun = [row for row in decided if row.id in waiting]
    save(lease, begun, now)  # refuses those that our database does not take
    for row in decided:
        if row.id not in waiting:
            row.state = EntryState.QUEUED  # no answer of ours: what it became stands in the journal
    return begun


def save(lease: HeldLease, rows: Iterable[JournalEntry], now: datetime) -> list[JournalEntry]:
    """Write the rows, inside `lease.fenced_transaction()`, and return them, but for those that our
    database refuses: they are set aside, and nothing more is to be done for them now."""
    to_save, refused = list(rows), set[int]()

    def put_away(row: JournalEntry, error: Exception) -> None:
        refused.add(row.id)
        set_aside(row, error, now)

    write_apart(to_save, partial(_save_together, lease, now), put_away)
    return [row for row in to_save if row.id not in refused]


def _save_together(lease: HeldLease, now: datetime, rows: Sequence[JournalEntry]) -> None:
    for row in rows:
        row.epoch = lease.epoch
        row.changed_at = now
        row.save(update_fields=MUTABLE_FIELDS)


def set_aside(row: JournalEntry, error: Exception, now: datetime) -> None:
    """Put away a row that could not be handled, as the journal has it: refuse it where nothing was
    begun, but where it can wait, else look at it again later. Where the fault is on our own side,
    that is done for this row alone, once its caller waits no longer. Only what that needs is
    written, none of which is anybody's data. Raises the database's errors."""
    of_hubspot = isinstance(error, HubSpotError)
    row.was_set_aside = not of_hubspot
    row.refresh_from_db(fields=MUTABLE_FIELDS)
    is_waiting = row.state == EntryState.QUEUED
    if is_waiting and isinstance(error, HubSpotError) and let_wait(row, error, now):
        return
    log.error("row_set_aside", entry=row.id, exc_info=error)
    if row.state == EntryState.QUEUED:
        refuse(row, _refusal_of(error))
        row.changed_at = now
        row.save(update_fields=("state", "changed_at", "answer"))
    elif row.state in UNFINISHED:
        if not of_hubspot:
            row.attempts = max(row.attempts, MAX_ATTEMPTS_TOGETHER - 1)
        postpone(row, error, now if of_hubspot else max(now, row.wanted_until))
        row.save(update_fields=("attempts", "next_attempt_at", "last_error"))


def _refusal_of(error: Exception) -> BookingError:
    if isinstance(error, HubSpotError):
        return errors.unavailable_from(error)
    return errors.InternalError()


def refuse(row: JournalEntry, error: BookingError) -> None:
    """Let the row end with a refusal; nothing was written for it."""
    row.state = EntryState.REFUSED
    row.in_doubt_since = None
    row.answer = Refusal.of(error).to_json()


def go_on_to_credit(row: JournalEntry, now: datetime) -> None:
    """Let a cancel go on whose booking is cancelled: from now on its credit may be under way."""
    row.state = EntryState.WRITTEN
    row.next_attempt_at, row.in_doubt_since = None, now


def complete(row: JournalEntry) -> None:
    """Let the row end with its planned answer; raise UnreadablePlan, with nothing changed."""
    row.answer = planned_answer(row)
    row.state = EntryState.DONE
    row.next_attempt_at = row.in_doubt_since = None


def undo(row: JournalEntry, refusal: BookingError, reason: str, now: datetime) -> None:
    """Let a row whose booking stands end with a refusal once that is taken back; `reason` is for
    the operator. Saved before the booking is cancelled: from then on it is never charged. Raises
    UnreadablePlan, with nothing changed."""
    plan = CreatePlan.from_json(row.plan)
    row.state = EntryState.UNDOING
    row.in_doubt_since = now
    row.answer = Refusal.of(refusal).to_json()
    row.last_error = errors.cut_to_column(reason)
    change_plan(row, replace(plan, reason=row.last_error))
    row.next_attempt_at = None


def end_undoing(row: JournalEntry) -> None:
    """Let a row end whose booking was taken back; its last error says why. Raises UnreadablePlan,
    with nothing changed."""
    row.last_error = CreatePlan.from_json(row.plan).reason
    row.state = EntryState.UNDONE
    row.next_attempt_at = row.in_doubt_since = None


def owe(row: JournalEntry, answer: CanceledAnswer, reason: str, now: datetime) -> None:
    """Answer a row whose credit HubSpot refuses, and try that again, slowly."""
    row.state = EntryState.OWING
    row.in_doubt_since = None
    row.answer = answer.to_json()
    row.attempts += 1
    row.next_attempt_at = now + backoff(
        row.attempts, first_s=FIRST_OWED_RETRY_S, max_s=MAX_OWED_RETRY_S
    )
    row.last_error = errors.cut_to_column(reason)


def put_off(row: JournalEntry, now: datetime) -> None:
    """Try the row's credit later, for no fault of its own."""
    owed = row.state == EntryState.OWING
    row.next_attempt_at = now + timedelta(seconds=FIRST_OWED_RETRY_S if owed else PUT_OFF_S)


def postpone(row: JournalEntry, error: Exception, now: datetime) -> None:
    """Look at the row again later, each time after a longer wait."""
    row.attempts += 1
    row.next_attempt_at = now + backoff(row.attempts, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
    row.last_error = errors.storable_text(error)


def postpone_unanswered(row: JournalEntry, error: HubSpotError, now: datetime) -> None:
    """Look at the row again later whose write failed; where HubSpot may still be at it, it is in
    doubt from now on."""
    row.in_doubt_since = now if error.may_have_taken_effect else None
    postpone(row, error, now)


def await_landing(row: JournalEntry, now: datetime, until: datetime) -> None:
    """Look again whether the row's write has come, ever more seldom, and once it cannot any more.
    That is no failure of the row's."""
    age_s = 0.0 if row.in_doubt_since is None else (now - row.in_doubt_since).total_seconds()
    wait_s = min(max(age_s / 2, FIRST_RETRY_S), MAX_LOOK_AGAIN_S)
    row.next_attempt_at = min(now + timedelta(seconds=wait_s), until)


def ended_before(moment: datetime) -> QuerySet[JournalEntry]:
    """Return the entries that ended before, but for those whose note is not sent yet."""
    waiting = OutboxNote.objects.filter(state__in=("waiting", "sending")).values("entry_id")
    ended = JournalEntry.objects.filter(state__in=ENDED, changed_at__lt=moment)
    return ended.exclude(id__in=waiting)
