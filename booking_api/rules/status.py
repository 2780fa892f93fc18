"""The words a booking's state goes by."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from booking_api.rules.dates import is_over
from hubspot_sync.portal.profile import BookingState

BookingStatus = Literal["scheduled", "completed", "cancelled"]


def booking_status(state: BookingState, ends_at: datetime | None, now: datetime) -> BookingStatus:
    """Return what a booking is now; one whose exam is over counts as completed, marked or not."""
    if state == "cancelled":
        return "cancelled"
    if state == "completed" or is_over(ends_at, now):
        return "completed"
    return "scheduled"
