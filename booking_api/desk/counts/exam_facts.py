"""What our own database knows of exams: last counts, what waits for them, what was asked.

Each question is about many exams at once, and goes by an index however long the journal is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT

from booking_api.desk.counts.models import LastCount
from booking_api.desk.journal.models import (
    UNFINISHED,
    EntryState,
    JournalEntry,
    RecountRequest,
    RequestKind,
)
from hubspot_sync.portal.record_names import is_record_id

COUNTED_STATES: Final = (EntryState.DONE, EntryState.OWING)
"""With these the desk has written the exam's count, or has asked for a recount."""
MAX_KNOWN_IDS: Final = 200
MAX_QUEUED: Final = 2_000
"""More are not looked at one by one: the desk takes up a hundred at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamFacts:
    """`waiting` bookings have not been begun, `unfinished` requests have; a cancellation that waits
    names a booking and no exam, and is not known here. `written_at` is when the desk
    last wrote a booking of it, None where that is before the last count."""

    last: LastCount | None = None
    written_at: datetime | None = None
    waiting: int = 0
    unfinished: int = 0
    recount: RecountRequest | None = None


NOTHING_KNOWN: Final = ExamFacts()


def read_exam_facts(exam_ids: Collection[str]) -> Mapping[str, ExamFacts]:
    """Return what is known of these exams, in five questions; raise Django's database errors."""
    last = {row.exam_id: row for row in _read_last_counts(exam_ids)}
    written = {exam_id: getattr(row, "written_at", None) for exam_id, row in last.items()}
    written |= _find_last_written(set(exam_ids).difference(last))
    recounts = {
        row.subject_id: row for row in RecountRequest.objects.filter(subject_id__in=exam_ids)
    }
    waiting, unfinished = _count_queued(), _count_unfinished(exam_ids)
    return {
        exam_id: ExamFacts(
            last=last.get(exam_id),
            written_at=written.get(exam_id),
            waiting=waiting[exam_id],
            unfinished=unfinished[exam_id],
            recount=recounts.get(exam_id),
        )
        for exam_id in exam_ids
    }


def find_exams_at_work() -> set[str]:
    """Return the exams that have something waiting, MAX_KNOWN_IDS of each kind at most; raise
    Django's database errors."""
    begun = JournalEntry.objects.filter(state__in=UNFINISHED).exclude(exam_id="").order_by()
    recounts = RecountRequest.objects.order_by("next_attempt_at")
    return {
        *list(_count_queued())[:MAX_KNOWN_IDS],
        *begun.values_list("exam_id", flat=True).distinct()[:MAX_KNOWN_IDS],
        *recounts.values_list("subject_id", flat=True)[:MAX_KNOWN_IDS],
    }


def find_counted_lately() -> list[str]:
    """Return the exams counted last, MAX_KNOWN_IDS at most; raise Django's database errors."""
    return list(LastCount.objects.values_list("exam_id", flat=True)[:MAX_KNOWN_IDS])


def _read_last_counts(exam_ids: Collection[str]) -> QuerySet[LastCount]:
    written = _written(OuterRef("exam_id")).filter(changed_at__gt=OuterRef("counted_at"))
    return LastCount.objects.filter(exam_id__in=exam_ids).annotate(
        written_at=Subquery(written.values("changed_at")[:1])
    )


def _find_last_written(exam_ids: Collection[str]) -> dict[str, datetime | None]:
    """Return when the desk last wrote a booking of exams that were never counted otherwise."""
    rows = JournalEntry.objects.filter(exam_id__in=exam_ids, state__in=COUNTED_STATES)
    rows = rows.exclude(kind=RequestKind.UPDATE).order_by()
    return dict(rows.values_list("exam_id").annotate(latest=Max("changed_at")))


def _written(exam_id: str | OuterRef) -> QuerySet[JournalEntry]:
    rows = JournalEntry.objects.filter(exam_id=exam_id, state__in=COUNTED_STATES)
    return rows.exclude(kind=RequestKind.UPDATE).order_by("-changed_at")


def _count_queued() -> Counter[str]:
    """Return how many bookings wait for each exam. The journal says of which only in the request
    itself, until the desk has looked at it."""
    queued = JournalEntry.objects.filter(state=EntryState.QUEUED, kind=RequestKind.CREATE)
    # As text: SQLite would take digits for a number.
    named = queued.annotate(asked_for=KT("request__mock_exam_id")).order_by("id")
    asked = named.values_list("asked_for", flat=True)[:MAX_QUEUED]
    return Counter(each for each in map(str, asked) if is_record_id(each))


def _count_unfinished(exam_ids: Collection[str]) -> Counter[str]:
    """By the index over states: few rows are at work, however many have ended."""
    rows = JournalEntry.objects.filter(state__in=UNFINISHED, exam_id__in=exam_ids).order_by()
    return Counter(dict(rows.values_list("exam_id").annotate(number=Count("id"))))
