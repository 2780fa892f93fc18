"""The day that HubSpot's daily limit counts in: the portal's, from midnight to midnight.

(HubSpot, "API usage guidelines": the daily limit "resets at midnight based on your account's time
zone setting".) Which zone that is, the portal's profile says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo


def _now_utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalDay:
    """A portal's days; `now` gives the instant, with its zone."""

    zone: tzinfo = UTC
    now: Callable[[], datetime] = _now_utc

    def remaining_s(self) -> float:
        """Seconds until the next midnight there, above 0 and at most 25 hours: a day in which the
        clocks are changed is longer or shorter by an hour."""
        now = self.now().astimezone(self.zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=self.zone)
        return (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()
