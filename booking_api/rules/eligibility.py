"""May this student book this exam: the questions, in the order they are asked.

1. Is the exam active and not over, and is it the one that was meant?
2. Is a seat free?
3. Has the student no other booking of this type on that day?

The fourth, whether a credit is there, is `credits.py`. Each raises the refusal it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from itertools import count

from booking_api.rules.dates import is_over
from booking_api.rules.errors import DuplicateBooking, ExamFull, ExamMismatch, ExamNotActive
from hubspot_sync.portal.records import Booking, MockExam


def check_exam(exam: MockExam, *, mock_type: str, exam_date: date, now: datetime) -> None:
    """Raise ExamNotActive or ExamMismatch."""
    if not exam.is_active or is_over(exam.ends_at, now):
        raise ExamNotActive
    if exam.mock_type != mock_type or exam.exam_date != exam_date:
        raise ExamMismatch


def free_seat(capacity: int, taken: int, numbers: AbstractSet[int]) -> int:
    """Return the lowest seat number that nobody has; raise ExamFull.

    `taken` counts active bookings; `numbers` are the seats named by any booking, because one that
    a person cancelled by hand still holds its number.
    """
    if taken >= capacity:
        raise ExamFull
    return next(number for number in count(1) if number not in numbers)


def check_no_duplicate(
    bookings: Iterable[Booking], *, mock_type: str, exam_date: date, of_this_exam: AbstractSet[str]
) -> None:
    """Raise DuplicateBooking where one of the student's bookings is active and for this type on
    that day; `of_this_exam` are the ids of the exam's bookings, whatever those say themselves."""
    for booking in bookings:
        same_day = booking.mock_type == mock_type and booking.exam_date == exam_date
        if booking.state == "active" and (same_day or booking.id in of_this_exam):
            raise DuplicateBooking


def seat_key(exam_id: str, number: int) -> str:
    """Return the unique name of a seat."""
    return f"{exam_id}:{number}"


def seat_number(exam_id: str, key: str) -> int | None:
    """Return the number of a seat's name, None where it names no seat of this exam."""
    exam, _, number = key.rpartition(":")
    return int(number) if exam == exam_id and number.isdecimal() else None
