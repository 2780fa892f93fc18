"""May this student book this exam: the questions, in the order they are asked.

1. Is the exam active and not over, and is it the one that was meant?
2. Is a seat free? (`seats.py`)
3. Has the student no other booking of this type on that day?
4. Is a credit there? (`credits.py`)

A check raises the refusal it stands for.
"""

from __future__ import annotations

from datetime import date, datetime

from booking_api.rules.booking_end import is_over
from booking_api.rules.errors import ExamMismatch, ExamNotActive
from hubspot_sync.portal.records import Booking, MockExam


def check_exam(exam: MockExam, *, mock_type: str, exam_date: date, now: datetime) -> None:
    """Raise ExamNotActive or ExamMismatch."""
    if not exam.is_active or is_over(exam.ends_at, now):
        raise ExamNotActive
    if exam.mock_type != mock_type or exam.exam_date != exam_date:
        raise ExamMismatch


def is_for(record: MockExam | Booking, mock_type: str, exam_date: date) -> bool:
    """Return whether an exam, or a booking whose exam is gone, is for this type on that day. A
    booking's copies of both age when a person moves the exam: where there is one, it decides."""
    return record.mock_type == mock_type and record.exam_date == exam_date
