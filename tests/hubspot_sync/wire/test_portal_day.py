"""When the portal's day ends, clocks changed or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.wire.limits.portal_day import PortalDay

ZONES = sorted(available_timezones())


@pytest.mark.parametrize(
    ("now", "zone", "hours"),
    [
        (datetime(2026, 11, 25, 21, 30, tzinfo=UTC), "UTC", 2.5),
        (datetime(2026, 11, 25, 21, 30, tzinfo=UTC), "America/Toronto", 7.5),
        (datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "Europe/London", 0.5),
        # The clocks go back, and forward.
        (datetime(2026, 10, 24, 23, 0, tzinfo=UTC), "Europe/London", 25.0),
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), "Europe/London", 23.0),
    ],
)
def test_the_day_ends_at_the_portals_midnight(now: datetime, zone: str, hours: float) -> None:
    assert PortalDay(zone=ZoneInfo(zone), now=lambda: now).remaining_s() == hours * 3_600


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is the argument after them
    st.sampled_from(ZONES),
)
def test_it_always_ends_soon_and_on_another_date(now: datetime, name: str) -> None:
    zone = ZoneInfo(name)

    left_s = PortalDay(zone=zone, now=lambda: now).remaining_s()

    assert 0 < left_s <= 25 * 3_600
    assert (now + timedelta(seconds=left_s)).astimezone(zone).date() > now.astimezone(zone).date()
