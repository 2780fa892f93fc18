"""One student's whole story, newest first: what they asked and were answered, what was charged, the
notes for their adviser, what HubSpot told of them. From our own database alone.

A person is all contacts that are known to have become one. What the reader may not see is left out,
and said to be: each part wants the permission of its own pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from django.db.models import Count, QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from booking_api.admin.console_links import Links
from booking_api.admin.formats import format_took
from booking_api.admin.hubspot_pages import link_record
from booking_api.admin.students.finding import find_by_contacts
from booking_api.admin.students.sight import Sight
from booking_api.admin.words.notes import render_note
from booking_api.admin.words.requests import (
    Tone,
    asked_exam_id,
    count_tries,
    describe_charge,
    describe_error,
    describe_request,
    read_text,
)
from booking_api.admin.words.webhooks import describe_event
from booking_api.desk.journal.erasure import is_erased
from booking_api.desk.journal.merges import same_contacts
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
)
from hubspot_sync.inbox.events import ObjectKind, RecordRef
from hubspot_sync.inbox.inbox import find_about
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import ObjectKind as StoredKind
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.portal.record_names import is_record_id

PER_PAGE: Final = 50
MAX_PAGE: Final = 20
MAX_UNFOLDED: Final = 2
MAX_BOOKINGS: Final = 100
MAX_NAMES: Final = 50
"""Of so many requests the names are shown, and of so many values that cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One thing that happened, and what became of it. `lines` are names and values; `note` is HTML,
    None for none. `is_event` says that it is what HubSpot told."""

    at: datetime
    title: str
    tone: Tone
    url: str
    outcome: str = ""
    why: str = ""
    code: str = ""
    lines: tuple[tuple[str, str | SafeString], ...] = ()
    note: SafeString | None = None
    note_state: str = ""
    is_event: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """Moments in a row: one, or several events together."""

    moments: tuple[Moment, ...]

    @property
    def is_folded(self) -> bool:
        """Whether it is a crowd of events: a booking makes a dozen, most of them echoes of ours."""
        return len(self.moments) > MAX_UNFOLDED


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What is known of a person. `names` are what they called themselves, none for who may not see
    them; `unreadable` are values in HubSpot that mean nothing to us, which may be why."""

    contact_id: str
    merged_ids: tuple[str, ...]
    names: tuple[str, ...]
    summary: str
    is_forgotten: bool
    unreadable: tuple[UnreadableValue, ...]
    chapters: tuple[Chapter, ...]
    has_older: bool


class StoryReader:
    """Reads stories for one reader; `mock_types` are the portal's."""

    def __init__(self, sight: Sight, links: Links, mock_types: Sequence[str]) -> None:
        self._sight = sight
        self._links = links
        self._mock_types = mock_types

    def read(self, contact_id: str, page: int) -> Story:
        """Return the story of a contact's person, its `page` from 1 to MAX_PAGE."""
        ids = same_contacts({contact_id})
        rows = self._find_rows(ids)
        bookings = set(
            rows.exclude(record_id="").values_list("record_id", flat=True)[:MAX_BOOKINGS]
        )
        limit = page * PER_PAGE + 1
        latest = list(rows.select_related("note")[:limit])
        moments = [self._tell_request(row, contact_id) for row in latest]
        moments += self._tell_follow_ups(ids)
        if self._sight.events:
            events = find_about([*_refs("contact", ids), *_refs("booking", bookings)])
            moments += map(_tell_event, events.order_by("-received_at", "-id")[:limit])
        moments.sort(key=lambda moment: moment.at, reverse=True)
        shown = moments[(page - 1) * PER_PAGE : page * PER_PAGE]
        return Story(
            contact_id=contact_id,
            merged_ids=tuple(sorted(ids - {contact_id}, key=int_or_zero)),
            names=_list_names(latest[:MAX_NAMES]) if self._sight.persons else (),
            summary=_summarise(rows),
            is_forgotten=any(map(is_erased, latest)),
            unreadable=self._find_unreadable(ids, bookings),
            chapters=tuple(_make_chapters(shown)),
            has_older=len(moments) > page * PER_PAGE,
        )

    def _find_rows(self, ids: frozenset[str]) -> QuerySet[JournalEntry]:
        own = JournalEntry.objects.filter(contact_id__in=ids).exclude(email="").order_by()
        emails = list(own.values_list("email", flat=True).distinct()[:MAX_NAMES])
        return find_by_contacts(ids, emails).order_by("-id")

    def _tell_request(self, row: JournalEntry, contact_id: str) -> Moment:
        words = describe_request(row, self._mock_types)
        lines: list[tuple[str, str | SafeString]] = [("took", format_took(row))]
        exam_id, asked_by = asked_exam_id(row), read_text(row.plan, "asked_by")
        if exam_id:
            lines.append(("exam", self._links.describe_exam(exam_id)))
        if row.record_id:
            shown = link_record("bookings", row.record_id, row.record_id) or row.record_id
            lines.append(("booking", shown))
        if charge := describe_charge(row):
            lines.append(("credit", charge))
        if row.credit_mark:
            lines.append(("mark of the credit's write", row.credit_mark))
        if is_record_id(asked_by) and row.contact_id:
            lines.append(("asked by", f"contact {asked_by}; the credit is {row.contact_id}'s"))
        elif row.contact_id not in ("", contact_id):
            lines.append(("as contact", row.contact_id))
        if self._sight.persons:
            lines += _quote(row)
        note, note_state = self._show_note(row)
        return Moment(
            at=row.arrived_at,
            title=f"Asked to {words.asked}",
            outcome=words.outcome,
            why=words.why,
            tone=words.tone,
            code=words.code,
            url=reverse("admin:booking_api_journalentry_change", args=[row.pk]),
            lines=tuple(lines),
            note=note,
            note_state=note_state,
        )

    def _show_note(self, row: JournalEntry) -> tuple[SafeString | None, str]:
        """Return a row's note and what became of it."""
        note = getattr(row, "note", None)
        if note is None or not self._sight.notes:
            return None, ""
        state = {
            NoteState.SENT: "on the timeline",
            NoteState.SENDING: "being sent",
            NoteState.WAITING: "waiting to be sent",
            NoteState.REFUSED: "not on the timeline",
        }.get(note.state, note.state)
        if note.attempts > 0 and note.state != NoteState.SENT:
            state = f"{state}, {count_tries(note.attempts)}"
        if note.last_error and note.state != NoteState.SENT:
            state = f"{state}: {describe_error(note.last_error)}"
        shown = render_note(note.body) if self._sight.persons and note.body else None
        return shown, f"Note for the adviser, {state}"

    def _tell_follow_ups(self, ids: frozenset[str]) -> Iterable[Moment]:
        if self._sight.reviews:
            for review in CreditReview.objects.filter(subject_id__in=ids):
                yield _tell_review(review)
        if self._sight.erasures:
            for erasure in ErasureRequest.objects.filter(subject_id__in=ids):
                yield _tell_erasure(erasure)

    def _find_unreadable(
        self, ids: Iterable[str], bookings: Iterable[str]
    ) -> tuple[UnreadableValue, ...]:
        if not self._sight.unreadable:
            return ()
        found = UnreadableValue.objects.filter(kind=StoredKind.CONTACT, record_id__in=ids)
        found |= UnreadableValue.objects.filter(kind=StoredKind.BOOKING, record_id__in=bookings)
        return tuple(found[:MAX_NAMES])


def _make_chapters(moments: Iterable[Moment]) -> Iterator[Chapter]:
    for is_event, together in groupby(moments, key=lambda moment: moment.is_event):
        if is_event:
            yield Chapter(moments=tuple(together))
        else:
            yield from (Chapter(moments=(moment,)) for moment in together)


def int_or_zero(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _refs(kind: str, ids: Iterable[str]) -> list[RecordRef]:
    return [RecordRef(ObjectKind(kind), each) for each in sorted(ids)]


def _quote(row: JournalEntry) -> list[tuple[str, str]]:
    """Return what the student wrote, and what they were told when they were refused."""
    quoted = [("their reason", read_text(row.request, "reason"))]
    if row.state in (EntryState.REFUSED, EntryState.UNDONE):
        quoted.append(("they were told", read_text(row.answer, "message")))
    return [(name, text) for name, text in quoted if text]


def _list_names(rows: Iterable[JournalEntry]) -> tuple[str, ...]:
    """Return the names, student ids and e-mails of rows, each once, the latest first."""
    named: dict[str, None] = {}
    for row in rows:
        for text in (
            read_text(row.request, "name"),
            read_text(row.request, "student_id"),
            row.email,
        ):
            if text:
                named.setdefault(text)
    return tuple(named)


def _summarise(rows: QuerySet[JournalEntry]) -> str:
    """Return how many requests there are, and what became of them, as a sentence."""
    counts = dict(rows.order_by().values_list("state").annotate(number=Count("id")))
    total = sum(counts.values())
    if total == 0:
        return ""
    parts = [
        (counts.pop(EntryState.DONE, 0), "carried out"),
        (counts.pop(EntryState.REFUSED, 0), "refused"),
        (counts.pop(EntryState.UNDONE, 0), "taken back"),
        (counts.pop(EntryState.QUEUED, 0), "waiting"),
        (sum(counts.values()), "not ended yet"),
    ]
    said = ", ".join(f"{number} {words}" for number, words in parts if number > 0)
    return f"{'1 request' if total == 1 else f'{total} requests'}: {said}."


def _tell_review(review: CreditReview) -> Moment:
    why = "a desk had lost its lease" if review.overtaken else "it was asked for"
    lines = [("why", why)]
    if review.attempts > 0:
        lines.append(("so far", count_tries(review.attempts)))
    if review.last_error:
        lines.append(("last error", describe_error(review.last_error)))
    return Moment(
        at=review.asked_at,
        title="The student's credits are to be compared with the journal",
        tone="warn" if review.last_error else "off",
        url=reverse("admin:booking_api_creditreview_change", args=[review.pk]),
        lines=tuple(lines),
    )


def _tell_erasure(erasure: ErasureRequest) -> Moment:
    lines = [("left to do", describe_error(erasure.last_error))] if erasure.last_error else []
    return Moment(
        at=erasure.asked_at,
        title="The person is to be forgotten",
        tone="warn" if erasure.last_error else "off",
        url=reverse("admin:booking_api_erasurerequest_change", args=[erasure.pk]),
        lines=tuple(lines),
    )


def _tell_event(event: WebhookEvent) -> Moment:
    words = describe_event(event)
    return Moment(
        at=event.received_at,
        title=words.title,
        tone=words.tone,
        url=reverse("admin:hubspot_sync_webhookevent_change", args=[event.pk]),
        outcome=words.outcome,
        is_event=True,
    )
