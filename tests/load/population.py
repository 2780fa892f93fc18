"""A school for load runs: students with bookings in exams of every type, by the builders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.builders import Booking, Exam, Portal, Student

MANY_SEATS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class School:
    """Who is there; all students have as many bookings, spread over the exams."""

    portal: Portal
    students: Sequence[Student]
    exams: Sequence[Exam]
    bookings: Sequence[Booking]


def open_school(
    portal: Portal, *, students: int, bookings: int, exams: int = 60, credits_each: int = 5
) -> School:
    """Fill the portal, which takes a few requests to the sandbox."""
    types = [each.value for each in portal.profile.mock_types]
    taken = Counter(
        (number + turn) % exams for number in range(students) for turn in range(bookings)
    )
    with portal.at_once():
        held = [
            portal.exam(
                mock_type=types[place % len(types)],
                in_days=3 + place,
                capacity=MANY_SEATS,
                total_bookings=taken[place],
            )
            for place in range(exams)
        ]
        pupils = [portal.student(f"pupil{n}", credits=credits_each) for n in range(students)]
        booked = [
            portal.booking(pupil, held[(number + turn) % exams])
            for number, pupil in enumerate(pupils)
            for turn in range(bookings)
        ]
    return School(portal=portal, students=pupils, exams=held, bookings=booked)
