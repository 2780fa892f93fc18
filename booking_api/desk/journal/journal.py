"""The journal: rows in their order of arrival, written only by whoever holds the lease.

`queued → writing → written → done`, or `refused` before anything was written. A row is `writing`
from before HubSpot is first asked to write until it is known that it did; `written` until its
credit, count and note have followed. What is unfinished is finished, never undone
(repair/recovery.py).
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db.models import Q, QuerySet

from booking_api.desk import errors
from booking_api.desk.config import MAX_GROUP_SIZE
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import (
    ENDED,
    UNFINISHED,
    CreditReview,
    EntryState,
    JournalEntry,
    OutboxNote,
    RecountRequest,
    RequestKind,
)
from booking_api.rules.errors import BookingError
from hubspot_sync.background.backoff import backoff

MAX_LINK_LAG: Final = timedelta(minutes=10)
"""How long HubSpot may not show a link yet that was made here (hubspot-facts, Search)."""
MAX_WAITING_READ: Final = 5 * MAX_GROUP_SIZE
"""Of so many waiting rows a group is chosen: students with several take up one place each."""
FIRST_RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 60.0

C = TypeVar("C", RecountRequest, CreditReview)

MUTABLE_FIELDS = (
    *("state", "plan", "contact_id", "exam_id", "record_id", "credit_property", "credit_before"),
    *("credit_after", "contact_seen_at", "epoch", "changed_at", "attempts", "next_attempt_at"),
    *("last_error", "answer"),
)


@dataclass(frozen=True, slots=True)
class UnlistedBookings:
    """What the journal knows and HubSpot may not list yet: record ids of bookings by exam and by
    contact, and by exam the seat numbers of creates whose outcome is not known."""

    by_exam: Mapping[str, frozenset[str]]
    by_contact: Mapping[str, frozenset[str]]
    pending_seats: Mapping[str, frozenset[int]]


@dataclass(frozen=True, slots=True)
class UnlistedLinks:
    """Whose a booking made here is, and of which exam; HubSpot may not show either link yet."""

    contact_id: str
    exam_id: str


def read_next_group(kinds: Collection[RequestKind], now: datetime) -> list[JournalEntry]:
    """Return the oldest waiting rows: at most a group of them, one for each student, and none of a
    student of whom something is unfinished."""
    busy = set(JournalEntry.objects.filter(state__in=UNFINISHED).values_list("email", flat=True))
    waiting = JournalEntry.objects.filter(
        state=EntryState.QUEUED, kind__in=kinds, wanted_until__gt=now
    ).order_by("id")
    group: list[JournalEntry] = []
    for row in waiting[:MAX_WAITING_READ]:
        if row.email not in busy and len(group) < MAX_GROUP_SIZE:
            busy.add(row.email)
            group.append(row)
    return group


def refuse_expired(now: datetime) -> int:
    """Refuse the rows nobody waits for any more; nothing has happened for them. Return how many."""
    return JournalEntry.objects.filter(state=EntryState.QUEUED, wanted_until__lte=now).update(
        state=EntryState.REFUSED, changed_at=now, answer=errors.to_json(errors.TooBusy())
    )


def has_work(now: datetime) -> bool:
    """Say whether a desk is wanted: for a waiting row, or an unfinished one or a review due now."""
    due = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    return (
        JournalEntry.objects.filter(
            Q(state=EntryState.QUEUED) | (Q(state__in=UNFINISHED) & due)
        ).exists()
        or CreditReview.objects.filter(next_attempt_at__lte=now).exists()
    )


def read_unfinished(now: datetime) -> list[JournalEntry]:
    """Return what was begun and is due to be looked at again, at most a group of it."""
    due = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    rows = JournalEntry.objects.filter(due, state__in=UNFINISHED).order_by("id")
    return list(rows[:MAX_GROUP_SIZE])


def begin(lease: HeldLease, rows: Iterable[JournalEntry], now: datetime) -> list[JournalEntry]:
    """Write what was decided of waiting rows, inside `lease.fenced_transaction()`, and return those
    rows. One whose caller has given it up meanwhile is left as it is: that caller was told that
    nothing was changed."""
    decided = list(rows)
    ids = [row.id for row in decided]
    queued = JournalEntry.objects.filter(id__in=ids, state=EntryState.QUEUED)
    waiting = set(queued.select_for_update().values_list("id", flat=True))
    begun = [row for row in decided if row.id in waiting]
    save(lease, begun, now)
    for row in decided:
        if row.id not in waiting:
            row.state = EntryState.QUEUED  # no answer of ours: what it became stands in the journal
    return begun


def save(lease: HeldLease, rows: Iterable[JournalEntry], now: datetime) -> None:
    """Write the rows, inside `lease.fenced_transaction()`."""
    for row in rows:
        row.epoch = lease.epoch
        row.changed_at = now
        row.save(update_fields=MUTABLE_FIELDS)


def refuse(row: JournalEntry, error: BookingError) -> None:
    """Let the row end with a refusal; nothing was written for it."""
    row.state = EntryState.REFUSED
    row.answer = errors.to_json(error)


def complete(row: JournalEntry) -> None:
    """Let the row end with its planned answer."""
    row.state = EntryState.DONE
    row.answer = row.plan["answer"]
    row.next_attempt_at = None


def postpone(row: JournalEntry, error: Exception, now: datetime) -> None:
    """Look at the row again later, each time after a longer wait."""
    row.attempts += 1
    row.next_attempt_at = now + backoff(row.attempts, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
    row.last_error = errors.storable_text(error)


def read_unlisted_bookings(
    exam_ids: Collection[str],
    contact_ids: Collection[str],
    now: datetime,
    excluded_rows: Collection[int] = (),
) -> UnlistedBookings:
    """Return what the journal knows of these exams and contacts; rows are excluded by their ids."""
    rows = JournalEntry.objects.filter(
        Q(exam_id__in=exam_ids) | Q(contact_id__in=contact_ids),
        Q(state__in=UNFINISHED) | Q(state=EntryState.DONE, changed_at__gt=now - MAX_LINK_LAG),
        kind=RequestKind.CREATE,
    ).exclude(id__in=excluded_rows)
    by_exam: dict[str, set[str]] = defaultdict(set)
    by_contact: dict[str, set[str]] = defaultdict(set)
    pending: dict[str, set[int]] = defaultdict(set)
    for exam_id, contact_id, record_id, state, plan in rows.values_list(
        "exam_id", "contact_id", "record_id", "state", "plan"
    ):
        if record_id != "":
            by_exam[exam_id].add(record_id)
            by_contact[contact_id].add(record_id)
        elif state == EntryState.WRITING:
            pending[exam_id].add(int(plan["seat_number"]))
    return UnlistedBookings(
        by_exam={exam_id: frozenset(ids) for exam_id, ids in by_exam.items()},
        by_contact={contact_id: frozenset(ids) for contact_id, ids in by_contact.items()},
        pending_seats={exam_id: frozenset(seats) for exam_id, seats in pending.items()},
    )


def read_unlisted_links(record_ids: Collection[str], now: datetime) -> Mapping[str, UnlistedLinks]:
    """Return the links, by record id, of those of these bookings that were made here so lately that
    HubSpot may not show them yet."""
    rows = JournalEntry.objects.filter(
        Q(state__in=UNFINISHED) | Q(state=EntryState.DONE, changed_at__gt=now - MAX_LINK_LAG),
        kind=RequestKind.CREATE,
        record_id__in=record_ids,
    )
    return {row.record_id: UnlistedLinks(row.contact_id, row.exam_id) for row in rows}


def exams_written_since(epoch: int, exam_ids: Collection[str]) -> set[str]:
    """Return those exams that a desk of this epoch or a later one has written for."""
    written = JournalEntry.objects.filter(exam_id__in=exam_ids, epoch__gte=epoch)
    return set(written.values_list("exam_id", flat=True))


def exams_of_bookings(record_ids: Collection[str]) -> Mapping[str, str]:
    """Return the exams of bookings made or cancelled here, by the booking's record id."""
    rows = JournalEntry.objects.filter(record_id__in=record_ids).exclude(exam_id="")
    return dict(rows.values_list("record_id", "exam_id"))


def request_recounts(exam_ids: Collection[str], now: datetime) -> None:
    """Ask for these exams to be counted, once each however often that is asked; durable with the
    transaction around it."""
    _ask_for(RecountRequest, exam_ids, now, now)


def request_reviews(
    contact_ids: Collection[str], now: datetime, not_before: datetime, *, overtaken: bool
) -> None:
    """Ask for these contacts' credits to be compared with the journal; `overtaken` where a desk
    that had lost its lease may have written them."""
    also = {"overtaken": True} if overtaken else {}
    _ask_for(CreditReview, contact_ids, now, not_before, **also)


def contacts_charged_since(since: datetime) -> set[str]:
    """Return the contacts whose credits the desk has written since then."""
    rows = JournalEntry.objects.filter(state=EntryState.DONE, changed_at__gt=since)
    return set(rows.exclude(credit_property="").values_list("contact_id", flat=True))


def _ask_for(
    kind: type[C],
    subject_ids: Collection[str],
    now: datetime,
    not_before: datetime,
    **also: bool,
) -> None:
    """Store the requests in one statement: between two, whoever is done with an earlier request
    could delete this one. The version tells whoever is at work on one that it came again."""
    kind.objects.bulk_create(
        [
            kind(
                subject_id=subject_id,
                asked_at=now,
                next_attempt_at=not_before,
                version=secrets.randbits(62),
                **also,
            )
            for subject_id in sorted(set(subject_ids))
        ],
        update_conflicts=True,
        unique_fields=["subject_id"],
        update_fields=["version", "asked_at", "next_attempt_at", *also],
    )


def ended_before(moment: datetime) -> QuerySet[JournalEntry]:
    """Return the entries that ended before, but for those whose note is not sent yet."""
    waiting = OutboxNote.objects.filter(state__in=("waiting", "sending")).values("entry_id")
    ended = JournalEntry.objects.filter(state__in=ENDED, changed_at__lt=moment)
    return ended.exclude(id__in=waiting)
