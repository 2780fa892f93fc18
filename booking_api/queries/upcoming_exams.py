"""The exams that lie ahead, for those who run them: of all types, the odd ones too.

The students' list leaves out what cannot be booked; this one shows it. It reads what students read,
through the cached families, so that a look costs a search and a call for a hundred exams at most,
and mostly nothing. No seat is counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from booking_api.queries.query_context import QueryContext
from booking_api.rules.booking_end import is_over
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import MockExam


@dataclass(frozen=True, kw_only=True, slots=True)
class UpcomingExams:
    """`listed` by day and start, those without a date that can be read at the end; `unread` says
    why exams that there are could not be read; `error` why it is not known which there are."""

    listed: tuple[MockExam, ...] = ()
    unread: Mapping[str, HubSpotError] = field(default_factory=lambda: MappingProxyType({}))
    error: HubSpotError | None = None


def find_upcoming_exams(
    query: QueryContext, also: Collection[str], otherwise: Callable[[], Collection[str]]
) -> UpcomingExams:
    """Return the exams of today and later; never raises for HubSpot. `also` are ids of exams that
    are known otherwise: they are listed where they are not past, whatever a search says of them.
    Where HubSpot cannot be asked which exams there are, those are taken that `otherwise` knows."""
    error: HubSpotError | None = None
    exam_ids = dict.fromkeys(also)
    types = [mock_type.value for mock_type in query.profile.mock_types]
    try:
        active = query.reads.active_exams(types, query.call)
        exam_ids |= dict.fromkeys(each for ids in active.by_type.values() for each in ids)
    except HubSpotError as raised:
        error = raised
        exam_ids |= dict.fromkeys(otherwise())
    read = query.reads.exams(exam_ids, query.call)
    today = query.now.astimezone(query.profile.time_zone).date()
    exams = {exam.id: exam for exam in read.found.values()}
    ahead = (exam for exam in exams.values() if not is_past(exam, today, query.now))
    return UpcomingExams(
        listed=tuple(sorted(ahead, key=order_by_start)), unread=read.unknown, error=error
    )


def is_past(exam: MockExam, today: date, now: datetime) -> bool:
    """Return whether an exam is over, and its day too: those of today are shown until midnight."""
    if exam.exam_date is None:
        return False
    return exam.exam_date < today and is_over(exam.ends_at, now)


def order_by_start(exam: MockExam) -> tuple[date, float, int, str]:
    day = date.max if exam.exam_date is None else exam.exam_date
    starts_at = float("inf") if exam.starts_at is None else exam.starts_at.timestamp()
    return day, starts_at, len(exam.id), exam.id
