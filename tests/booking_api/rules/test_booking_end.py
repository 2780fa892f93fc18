"""When a booking is over, and what it is called."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from booking_api.rules.booking_end import booking_status, end_of_day
from hubspot_sync.portal.profile import BookingState

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SOON, AGO = NOW + timedelta(minutes=1), NOW - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("state", "ends_at", "expected"),
    [
        ("active", SOON, "scheduled"),
        ("active", NOW, "completed"),
        ("active", None, "scheduled"),
        ("completed", SOON, "completed"),
        ("cancelled", AGO, "cancelled"),
    ],
)
def test_a_booking_is_what_its_state_and_its_exams_end_say(
    state: BookingState, ends_at: datetime | None, expected: str
) -> None:
    assert booking_status(state, ends_at, NOW) == expected


def test_a_day_ends_where_the_portal_is() -> None:
    toronto = end_of_day(date(2026, 11, 30), ZoneInfo("America/Toronto"))

    assert toronto.astimezone(UTC) == datetime(2026, 12, 1, 5, tzinfo=UTC)


def test_the_day_the_clocks_go_forward_is_an_hour_shorter() -> None:
    london = ZoneInfo("Europe/London")

    length = end_of_day(date(2027, 3, 28), london).astimezone(UTC) - end_of_day(
        date(2027, 3, 27), london
    ).astimezone(UTC)

    assert length == timedelta(hours=23)
