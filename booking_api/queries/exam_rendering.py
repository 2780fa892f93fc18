"""The exams that can be sat as JSON.

Written straight from typed fields: by way of the serializer, which describes the same fields for
people, twenty exams took a third of our own time for the whole answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import orjson

from booking_api.queries.available_exams import ExamSeats
from booking_api.rules.seats import ExamStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedExamSeats:
    """An exam as the list of available ones shows it: its fields are the JSON's, in their order."""

    mock_exam_id: str
    exam_date: date | None
    start_time: str
    end_time: str
    mock_type: str
    capacity: int
    total_bookings: int
    available_slots: int
    location: str
    is_active: bool
    status: ExamStatus


def render_exams(listed: Sequence[ExamSeats]) -> bytes:
    """Return the exams as a JSON array."""
    return orjson.dumps([_render_seats(seats) for seats in listed])


def _render_seats(seats: ExamSeats) -> RenderedExamSeats:
    exam = seats.exam
    return RenderedExamSeats(
        mock_exam_id=exam.id,
        exam_date=exam.exam_date,
        start_time=exam.start_time,
        end_time=exam.end_time,
        mock_type=exam.mock_type,
        capacity=exam.capacity,
        total_bookings=seats.total_bookings,
        available_slots=seats.available_slots,
        location=seats.location,
        is_active=exam.is_active,
        status=seats.status,
    )
