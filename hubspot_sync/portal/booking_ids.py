"""The booking id that people read: `"{mock_type}-{student_id}-{exam_date}"`.

Its format and its parser stand side by side, so that what is written can be read again: not every
portal stores type and day apart, and a booking whose exam is archived has nothing else. The id has
the student's id, not the name: two students of one name once blocked each other. It is no key;
what is unique is the seat key and the idempotency key.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.property_values import Unreadable, parse_day

DAY_LENGTH: Final = len("2026-01-31")
STUDENT_ID: Final = re.compile(
    r"-((?=[A-Z]*[0-9])[A-Z0-9]+)-[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.IGNORECASE | re.ASCII
)
"""A student's id before the day. It has a digit: an older form of booking ids had the name there,
which is nobody's id."""


def format_booking_id(mock_type: str, student_id: str, exam_date: date) -> str:
    """Return the id, the day in ISO 8601."""
    return f"{mock_type}-{student_id}-{exam_date.isoformat()}"


def parse_booking_id(booking_id: str, profile: PortalProfile) -> tuple[str, date | None]:
    """Return the mock type and the day that the id names; "" and None where it names none."""
    try:
        day = parse_day(booking_id[-DAY_LENGTH:], profile.time_zone)
    except Unreadable:
        day = None
    for mock_type in profile.mock_types:
        if day is not None and booking_id.startswith(f"{mock_type.value}-"):
            return mock_type.value, day
    return "", day


def normalize_booking_id(text: str) -> str:
    """Return a booking id as such are compared: whatever its case and its blanks."""
    return " ".join(text.split()).lower()


def parse_student_id(booking_id: str) -> str:
    """Return the student's id that the id names, "" where it names none."""
    named = STUDENT_ID.search(booking_id.strip())
    return "" if named is None else named[1]
