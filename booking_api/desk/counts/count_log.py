"""Keeping when each exam was counted, for whom, and what the counts that a person asked for found.

A count never fails because it could not be kept: then the log says so, and the console knows less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import QuerySet

from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.models import (
    MAX_REASON_CHARS,
    MAX_WHO_CHARS,
    CountKind,
    CountRecord,
    LastCount,
)
from booking_api.desk.errors import cut_to_column
from cache_layer.operating.redaction import mask_emails
from hubspot_sync.wire.storable_text import make_storable

ROWS_PER_STATEMENT: Final = 100
LONGEST_COUNT: Final = timedelta(minutes=10)
"""A kept count that began later than that after another is of a clock that was set back."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedCount:
    """A count as a person asks for it. `token` is that of the form it was asked by."""

    exam_id: str
    who: str
    reason: str
    kind: CountKind
    token: UUID


def keep_last_counts(counts: Iterable[ExamCount], who: str, now: datetime) -> None:
    """Keep of each exam that was counted how many seats were taken; never raises for the database.
    An exam that could not be counted keeps its earlier count; one that somebody began to count
    later, and was faster, keeps that one."""
    rows = [
        LastCount(
            exam_id=count.exam.id,
            counted_at=now,
            who=who[:MAX_WHO_CHARS],
            stored=count.exam.stored_total,
            actual=count.actual,
            corrected=count.updated,
        )
        for count in counts
        if count.exam is not None and count.actual is not None
    ]
    # An exam may have been named by two of its ids; one statement takes a row once.
    by_id = {row.exam_id: row for row in rows}
    try:
        with transaction.atomic():
            later = LastCount.objects.filter(
                exam_id__in=list(by_id), counted_at__gt=now, counted_at__lte=now + LONGEST_COUNT
            )
            overtaken = set(later.values_list("exam_id", flat=True))
            LastCount.objects.bulk_create(
                # In one order, so that two who keep the same exams do not wait for each other.
                [by_id[exam_id] for exam_id in sorted(by_id) if exam_id not in overtaken],
                batch_size=ROWS_PER_STATEMENT,
                update_conflicts=True,
                unique_fields=["exam_id"],
                update_fields=["counted_at", "who", "stored", "actual", "corrected"],
            )
    except DatabaseFailure:
        log.exception("counts_not_kept", exams=len(by_id))


def begin_record(asked: AskedCount, now: datetime) -> CountRecord | None:
    """Put on record that a count was asked for; None where its form has been sent before. Raises
    Django's database errors: without a record it is not to be done."""
    record, is_new = CountRecord.objects.get_or_create(
        token=asked.token,
        defaults={
            "at": now,
            "who": asked.who[:MAX_WHO_CHARS],
            # E-mails are not kept: what names a person would have to be found again to forget it.
            "reason": mask_emails(make_storable(asked.reason))[:MAX_REASON_CHARS],
            "kind": asked.kind,
            "exam_id": asked.exam_id,
        },
    )
    return record if is_new else None


def end_record(record: CountRecord, count: ExamCount, calls: int, now: datetime) -> None:
    """Put on record what came of a count; never raises for the database."""
    record.stored = None if count.exam is None else count.exam.stored_total
    record.actual = count.actual
    record.corrected = count.updated
    record.error = cut_to_column(count.error)
    record.calls = calls
    record.ended_at = now
    try:
        with transaction.atomic():
            record.save()
    except DatabaseFailure:
        log.exception("count_not_on_record", exam=record.exam_id)


def record_named_counts(
    counts: Collection[ExamCount], who: str, kind: CountKind, now: datetime
) -> None:
    """Put on record counts that were asked for elsewhere than in the console, by naming the exams;
    never raises for the database."""
    rows = [
        CountRecord(
            token=uuid4(),
            at=now,
            who=who[:MAX_WHO_CHARS],
            kind=kind,
            exam_id=count.exam_id[:20],
            stored=None if count.exam is None else count.exam.stored_total,
            actual=count.actual,
            corrected=count.updated,
            error=cut_to_column(count.error),
            ended_at=now,
        )
        for count in counts
    ]
    try:
        with transaction.atomic():
            CountRecord.objects.bulk_create(rows, batch_size=ROWS_PER_STATEMENT)
    except DatabaseFailure:
        log.exception("counts_not_on_record", exams=len(rows))


def last_counts_before(moment: datetime) -> QuerySet[LastCount]:
    return LastCount.objects.filter(counted_at__lt=moment)


def records_before(moment: datetime) -> QuerySet[CountRecord]:
    return CountRecord.objects.filter(at__lt=moment)
