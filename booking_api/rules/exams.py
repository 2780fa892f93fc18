"""Which exam a booking is of, and when that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from booking_api.rules.dates import end_of_day
from hubspot_sync.portal.records import Booking, MockExam


def exam_linked(exam_ids: Iterable[str], exams: Mapping[str, MockExam]) -> MockExam | None:
    """Return the exam a booking is linked to; the first by id, should a person have linked two."""
    there = sorted((len(id_), id_) for id_ in exam_ids if id_ in exams)
    return exams[there[0][1]] if len(there) > 0 else None


def booking_ends_at(booking: Booking, exam: MockExam | None, zone: ZoneInfo) -> datetime | None:
    """Return the end of the exam, or of the booking's own day where the exam is gone."""
    if exam is not None and exam.ends_at is not None:
        return exam.ends_at
    if booking.exam_date is None:
        return None
    return end_of_day(booking.exam_date, zone)
