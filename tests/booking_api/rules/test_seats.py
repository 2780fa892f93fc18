"""An exam's seats: how many are left, and the word for that."""

from __future__ import annotations

import pytest

from booking_api.rules.seats import available_slots, exam_status


@pytest.mark.parametrize(
    ("total_bookings", "expected"),
    [(0, "available"), (16, "available"), (17, "limited"), (19, "limited"), (20, "full")],
)
def test_an_exam_is_limited_with_three_seats_left(total_bookings: int, expected: str) -> None:
    assert exam_status(available_slots(20, total_bookings)) == expected


def test_an_exam_oversold_by_hand_has_no_seat_and_not_fewer() -> None:
    assert available_slots(20, 23) == 0
