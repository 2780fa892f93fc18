"""What one exam's page lists besides its seats: requests, events and what was done by hand.

Each list is short, and found by an index or among the latest rows: it says where the rest is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max
from django.urls import NoReverseMatch, reverse

from booking_api.admin.students.finding import find_by_exam
from booking_api.admin.words.requests import describe_request
from booking_api.desk.counts.exam_facts import MAX_KNOWN_IDS
from booking_api.desk.counts.models import CountRecord
from booking_api.desk.journal.models import JournalEntry
from cache_layer.models import CacheInvalidation
from cache_layer.operating.redaction import mask_emails
from hubspot_sync.inbox.events import ObjectKind as EventKind
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import ObjectKind, UnreadableValue

MAX_LISTED: Final = 10
EVENTS_LOOKED_AT: Final = 5_000
"""The latest ones: events have no index by what they are about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An event of an exam, or of one of its bookings."""

    id: int
    received_at: datetime
    subscription: str
    about: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request, without names; `story_url` leads to all that its student asked for."""

    pk: int
    changed_at: datetime
    what: str
    state: str
    contact_id: str
    story_url: str


def list_requests(exam_id: str) -> Sequence[Asked]:
    """Return the latest requests, as the journal finds them by the exam: also those that wait, and
    those that were refused, which have only asked for it."""
    rows = find_by_exam(JournalEntry.objects.all(), exam_id).order_by("-id")
    return [
        Asked(
            pk=row.pk,
            changed_at=row.changed_at,
            what=row.get_kind_display(),
            state=_describe_state(row),
            contact_id=row.contact_id,
            story_url=_find_story(row.contact_id),
        )
        for row in rows[:MAX_LISTED]
    ]


def _describe_state(row: JournalEntry) -> str:
    """Return the state, and why it was refused: neither names anybody."""
    words = describe_request(row, ())
    return f"{words.outcome}: {words.why}" if words.why else words.outcome


def _find_story(contact_id: str) -> str:
    try:
        return reverse("admin:booking_api_student_story", args=[contact_id])
    except NoReverseMatch:  # no id, as a row may have that was refused
        return ""


def list_events(exam_id: str) -> Sequence[Told]:
    """Return the latest events that are about the exam, or have it counted."""
    latest = WebhookEvent.objects.aggregate(latest=Max("id"))["latest"] or 0
    rows = WebhookEvent.objects.filter(id__gt=latest - EVENTS_LOOKED_AT).order_by("-id")
    found = []
    looked_at = rows.values_list(
        "id", "received_at", "subscription", "records", "state", "exam_ids"
    )
    for row_id, received_at, subscription, about, state, exam_ids in looked_at:
        named = f"{EventKind.EXAM} {exam_id}" in str(about).split(", ")
        if named or (isinstance(exam_ids, list) and exam_id in exam_ids):
            words = dict(WebhookEvent.State.choices).get(state, state)
            found.append(
                Told(
                    id=row_id,
                    received_at=received_at,
                    subscription=subscription,
                    about=about,
                    state=str(words),
                )
            )
        if len(found) == MAX_LISTED:
            break
    return found


def list_counts(exam_id: str) -> Sequence[CountRecord]:
    return list(CountRecord.objects.filter(exam_id=exam_id)[:MAX_LISTED])


@dataclass(frozen=True, kw_only=True, slots=True)
class Removed:
    """A removal from the cache that somebody asked for, without e-mails."""

    pk: int
    at: datetime
    who: str
    why: str
    removed: int
    delivered: bool


def list_removals(exam_id: str) -> Sequence[Removed]:
    """Return the latest removals of all that shows the exam, whoever asked for them and how."""
    rows = CacheInvalidation.objects.filter(scope="exam", named=[exam_id])
    return [
        Removed(
            pk=row.pk,
            at=row.at,
            who=row.who,
            why=mask_emails(row.reason),
            removed=row.removed,
            delivered=row.delivered,
        )
        for row in rows[:MAX_LISTED]
    ]


def list_unreadable(exam_id: str) -> Sequence[UnreadableValue]:
    rows = UnreadableValue.objects.filter(kind=ObjectKind.EXAM, record_id=exam_id)
    return list(rows[:MAX_LISTED])


def find_unreadable_exams() -> set[str]:
    """Return the exams that have a value that cannot be read, MAX_KNOWN_IDS at most."""
    rows = UnreadableValue.objects.filter(kind=ObjectKind.EXAM).order_by()
    return set(rows.values_list("record_id", flat=True).distinct()[:MAX_KNOWN_IDS])
