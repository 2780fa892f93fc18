"""When an exam, or a booking of one, is over, and what a booking is called before and after.

An exam's own end is the best answer. A booking whose exam is gone still knows its date: then the
end of that day, in the portal's time zone. Without any date nothing is ever over, so that a student
sees a booking with something missing rather than losing it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from hubspot_sync.portal.profile import BookingState
from hubspot_sync.portal.records import Booking, MockExam

BookingStatus = Literal["scheduled", "completed", "cancelled"]


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant that is no longer `day`; the day a clock changes is handled."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)


def booking_ends_at(booking: Booking, exam: MockExam | None, zone: ZoneInfo) -> datetime | None:
    """Return the end of the exam, or of the booking's own day where the exam is gone."""
    if exam is not None and exam.ends_at is not None:
        return exam.ends_at
    if booking.exam_date is None:
        return None
    return end_of_day(booking.exam_date, zone)


def is_over(ends_at: datetime | None, now: datetime) -> bool:
    """Return whether what ends at `ends_at` has ended; what has no end never has."""
    return ends_at is not None and ends_at <= now


def booking_status(state: BookingState, ends_at: datetime | None, now: datetime) -> BookingStatus:
    """Return what a booking is now; one whose exam is over counts as completed, marked or not.

    What is completed cannot be cancelled. The filters `upcoming` and `past` ask `is_over` alone.
    """
    if state == "cancelled":
        return "cancelled"
    if state == "completed" or is_over(ends_at, now):
        return "completed"
    return "scheduled"
