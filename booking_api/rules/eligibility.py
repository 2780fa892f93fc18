"""May this student book this exam: the questions, in the order they are asked.

1. Is the exam active and not over, and is it the one that was meant?
2. Is a seat free? (`seats.py`)
3. Has the student no other booking of this type on that day?
4. Is a credit there? (`credits.py`)

Each raises the refusal it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import date, datetime

from booking_api.rules.booking_end import is_over
from booking_api.rules.errors import DuplicateBooking, ExamMismatch, ExamNotActive
from hubspot_sync.portal.records import Booking, MockExam


def check_exam(exam: MockExam, *, mock_type: str, exam_date: date, now: datetime) -> None:
    """Raise ExamNotActive or ExamMismatch."""
    if not exam.is_active or is_over(exam.ends_at, now):
        raise ExamNotActive
    if exam.mock_type != mock_type or exam.exam_date != exam_date:
        raise ExamMismatch


def check_no_duplicate(
    bookings: Iterable[Booking], *, mock_type: str, exam_date: date, of_this_exam: AbstractSet[str]
) -> None:
    """Raise DuplicateBooking where one of the student's bookings is active and for this type on
    that day; `of_this_exam` are the ids of the exam's bookings, whatever those say themselves."""
    for booking in bookings:
        same_day = booking.mock_type == mock_type and booking.exam_date == exam_date
        if booking.state == "active" and (same_day or booking.id in of_this_exam):
            raise DuplicateBooking
