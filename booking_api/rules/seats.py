"""The seats of an exam: which is free, its name, how many are left and the word for that."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import count
from typing import Literal

from booking_api.rules.errors import ExamFull

ExamStatus = Literal["available", "limited", "full"]

MAX_LIMITED_SLOTS = 3
"""With so many free seats, or fewer, an exam is `limited`; with none it is `full`."""
MAX_SEAT_DIGITS = 15
"""Of a number in a seat's name; longer ones are no seat's."""


def free_seat(capacity: int, taken: int, numbers: AbstractSet[int]) -> int:
    """Return the lowest seat number that nobody has; raise ExamFull.

    `taken` counts active bookings; `numbers` are the seats named by any booking, because one that
    a person cancelled by hand still holds its number.
    """
    if taken >= capacity:
        raise ExamFull
    return next(number for number in count(1) if number not in numbers)


def seat_key(exam_id: str, number: int) -> str:
    """Return the unique name of a seat."""
    return f"{exam_id}:{number}"


def exam_of_seat(key: str) -> str:
    """Return the id of the exam that a seat's name names, "" where it is no name of a seat."""
    exam_id = key.rpartition(":")[0]
    return exam_id if exam_id.isascii() and exam_id.isdecimal() else ""


def seat_number(exam_id: str, key: str) -> int | None:
    """Return the number of a seat's name, None where it names no seat of this exam."""
    exam, _, number = key.rpartition(":")
    # Python refuses to make a number of thousands of digits, and a person may have typed them.
    names_seat = number.isdecimal() and len(number) <= MAX_SEAT_DIGITS
    return int(number) if exam == exam_id and names_seat else None


def available_slots(capacity: int, total_bookings: int) -> int:
    """Return the free seats, never negative: an exam oversold by hand has none."""
    return max(0, capacity - total_bookings)


def exam_status(slots: int) -> ExamStatus:
    """Return the word for an exam with so many free seats."""
    if slots == 0:
        return "full"
    return "limited" if slots <= MAX_LIMITED_SLOTS else "available"
