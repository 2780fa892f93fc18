"""What the journal and the outbox have of a person, and how they forget it.

A row that has ended keeps what counts and money need: kind, state, times, the ids of contact, exam
and booking, the credit's change. Request, plan, answer, e-mail, fingerprint and key go; of a key
that was used a digest is left (idempotency.py). What has not ended is finished first: a booking may
stand whose credit is not charged yet.

A person's rows are those whose pair was found to be their contact's, those that gave the contact a
credit back at another's request, those that named the contact and came to nothing, and those under
an e-mail of theirs, whoever's contact it was at that time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import Q
from django.utils.crypto import salted_hmac

from booking_api.desk.journal.idempotency import ERASED, erased_key
from booking_api.desk.journal.models import (
    ENDED,
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
    OutboxNote,
    RequestKind,
)
from hubspot_sync.background.isolation import write_apart
from hubspot_sync.portal.record_names import is_record_id

JUST_ENDED: Final = timedelta(seconds=1)
"""So long its caller, in another process, may not have fetched its answer."""
NOT_SENT: Final = "Not sent: the person was forgotten."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Whom to forget. `emails` are as e-mails are compared; `email_digests` are of e-mails that are
    not known any more, and tell the rows that arrived since `since`."""

    contact_ids: frozenset[str]
    emails: frozenset[str] = frozenset()
    email_digests: frozenset[str] = frozenset()
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """What names a person: rows that have ended, notes that are settled or wait, and how many of
    both are still at work."""

    entries: tuple[JournalEntry, ...]
    notes: tuple[OutboxNote, ...]
    at_work: int


def is_erased(row: JournalEntry) -> bool:
    """Whether the row's person was forgotten."""
    return row.email == "" and row.idempotency_key.startswith(ERASED)


def digest_email(email: str) -> str:
    """Return what tells an e-mail without naming it, as hexadecimal HMAC-SHA256."""
    return salted_hmac("booking_api.erasure", email, algorithm="sha256").hexdigest()


def emails_of(contact_ids: Collection[str]) -> frozenset[str]:
    """Return the e-mails that were proven to be these contacts', as far as the journal has any."""
    own = Q(contact_id__in=contact_ids) & ~Q(plan__has_key="asked_by")
    rows = JournalEntry.objects.filter(own | _asked_by(contact_ids)).exclude(email="")
    return frozenset(rows.values_list("email", flat=True))


def contacts_of(emails: Collection[str]) -> frozenset[str]:
    """Return the contacts whose these e-mails were proven to be."""
    rows = JournalEntry.objects.filter(email__in=emails).exclude(contact_id="")
    found = rows.values_list("contact_id", "plan__asked_by")
    # A text of digits inside JSON is a number to SQLite.
    return frozenset(str(asked_by or contact_id) for contact_id, asked_by in found)


def contacts_kept() -> frozenset[str]:
    """Return the contacts of whom something personal is kept, but for those who are being forgotten
    already."""
    rows = JournalEntry.objects.exclude(email="").order_by()
    named = (
        rows.values_list("contact_id", flat=True),
        rows.filter(plan__has_key="asked_by").values_list("plan__asked_by", flat=True),
        rows.filter(state=EntryState.REFUSED).values_list("request__contact_id", flat=True),
        OutboxNote.objects.exclude(body="").order_by().values_list("contact_id", flat=True),
    )
    kept = {str(each) for ids in named for each in ids.distinct() if each is not None}
    kept -= set(ErasureRequest.objects.values_list("subject_id", flat=True))
    return frozenset(filter(is_record_id, kept))


def find_traces(person: Person, now: datetime) -> Traces:
    """Return what names the person and is not forgotten yet."""
    rows = _find_rows(person)
    notes = OutboxNote.objects.filter(
        Q(contact_id__in=person.contact_ids) | Q(entry_id__in=[row.id for row in rows])
    ).exclude(body="")
    settled = [note for note in notes if note.state != NoteState.SENDING]
    sending = {note.entry_id for note in notes if note.state == NoteState.SENDING}
    ended = [
        row
        for row in rows
        if row.state in ENDED and row.changed_at <= now - JUST_ENDED and row.id not in sending
    ]
    unended = {row.id for row in rows}.difference(row.id for row in ended)
    return Traces(entries=tuple(ended), notes=tuple(settled), at_work=len(unended | sending))


def erase(traces: Traces) -> int:
    """Forget; return how many rows and notes were not changed: our database refused it, or somebody
    has taken a note up meanwhile."""
    kept: list[int] = []

    def erase_notes(notes: Sequence[OutboxNote]) -> None:
        kept.extend(note.id for note in notes if not _erase_note(note))

    def report(row: JournalEntry | OutboxNote, error: Exception) -> None:
        log.error("not_erased", row=row.id, exc_info=error)
        kept.append(row.id)

    write_apart(traces.notes, erase_notes, report)
    write_apart(traces.entries, _erase_entries, report)
    return len(kept)


def _asked_by(contact_ids: Collection[str]) -> Q:
    """Rows in which these contacts asked for what another is credited for."""
    return Q(plan__asked_by__in=sorted(contact_ids), kind=RequestKind.CANCEL)


def _find_rows(person: Person) -> list[JournalEntry]:
    named = Q(contact_id__in=person.contact_ids) | Q(email__in=person.emails)
    named |= _asked_by(person.contact_ids)
    named |= Q(state=EntryState.REFUSED, request__contact_id__in=sorted(person.contact_ids))
    rows = list(JournalEntry.objects.filter(named).exclude(email=""))
    if person.since is not None and len(person.email_digests) > 0:
        found = {row.id for row in rows}
        later = JournalEntry.objects.filter(contact_id="", changed_at__gte=person.since)
        rows += [
            row
            for row in later.exclude(email="")
            if row.id not in found and digest_email(row.email) in person.email_digests
        ]
    return rows


def _erase_note(note: OutboxNote) -> bool:
    """Say whether the note was as it was read; one that waits is not sent any more."""
    waits = note.state == NoteState.WAITING
    state, error = (NoteState.REFUSED, NOT_SENT) if waits else (note.state, note.last_error)
    same = OutboxNote.objects.filter(id=note.id, state=note.state)
    return same.update(state=state, body="", last_error=error) == 1


def _erase_entries(rows: Iterable[JournalEntry]) -> None:
    for row in rows:
        JournalEntry.objects.filter(id=row.id, state__in=ENDED).update(
            idempotency_key=erased_key(row),
            fingerprint="",
            email="",
            request={},
            plan={},
            answer={},
            last_error="",
        )
