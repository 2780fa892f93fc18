"""The words a booking's and an exam's state go by."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from booking_api.rules.dates import is_over
from hubspot_sync.portal.profile import BookingState

BookingStatus = Literal["scheduled", "completed", "cancelled"]
ExamStatus = Literal["available", "limited", "full"]

LIMITED_FROM_SLOTS = 3


def booking_status(state: BookingState, ends_at: datetime | None, now: datetime) -> BookingStatus:
    """Return what a booking is now; one whose exam is over counts as completed, marked or not."""
    if state == "cancelled":
        return "cancelled"
    if state == "completed" or is_over(ends_at, now):
        return "completed"
    return "scheduled"


def available_slots(capacity: int, total_bookings: int) -> int:
    """Return the free seats, never negative: an exam oversold by hand has none."""
    return max(0, capacity - total_bookings)


def exam_status(slots: int) -> ExamStatus:
    if slots == 0:
        return "full"
    return "limited" if slots <= LIMITED_FROM_SLOTS else "available"
