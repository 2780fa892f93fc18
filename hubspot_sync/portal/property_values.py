"""What HubSpot's texts mean: numbers, yes or no, days and instants.

HubSpot gives every property as a text or null, and people type into it. No parser raises: a value
that cannot be read is as if it had never been set.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(1900, 3000)  # outside, a typing mistake; and the calendar's ends overflow
_EPOCH_MS = re.compile(r"-?\d{9,15}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\s*([ap]m)?", re.ASCII | re.IGNORECASE)


def parse_whole_number(text: str | None) -> int:
    """Return "20", "20.0" or " 20 " as 20; 0 for nothing and for what is no number."""
    try:
        number = float(text or "0")
    except ValueError:
        return 0
    return int(number) if math.isfinite(number) else 0


def parse_yes_no(text: str | None) -> bool | None:
    """Return True for "true", "yes" and "1", False for "false", "no" and "0", else None."""
    word = (text or "").strip().casefold()
    if word in {"true", "yes", "1"}:
        return True
    if word in {"false", "no", "0"}:
        return False
    return None


def parse_instant(text: str | None) -> datetime | None:
    """Return an ISO 8601 instant or epoch milliseconds in UTC; without an offset it is UTC."""
    stripped = (text or "").strip()
    try:
        if _EPOCH_MS.fullmatch(stripped) is not None:
            found = EPOCH + timedelta(milliseconds=int(stripped))
        else:
            found = datetime.fromisoformat(stripped)
    except (ValueError, OverflowError):
        return None
    if found.year not in YEARS:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def parse_day(text: str | None, zone: ZoneInfo) -> date | None:
    """Return the day a date property names.

    HubSpot keeps a date as midnight UTC, whatever the portal's time zone, so an instant at that
    midnight is that day; any other instant is the day it falls on in the portal.
    """
    found = parse_instant(text)
    if found is None:
        return None
    if found.timetz() == time(tzinfo=UTC):
        return found.date()
    return found.astimezone(zone).date()


def parse_clock_time(text: str | None, day: date | None, zone: ZoneInfo) -> datetime | None:
    """Return in UTC the instant of `text`, a clock time on `day` ("9:30", "2:15 pm") or a whole
    instant; None for anything else."""
    clock = _CLOCK.fullmatch((text or "").strip())
    if clock is None:
        return parse_instant(text)
    hour, minute, half = int(clock[1]), int(clock[2]), (clock[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if day is None or hour > 23 or minute > 59:
        return None
    return _instant_at(day, time(hour, minute), zone)


def midnight(day: date | None, zone: ZoneInfo) -> datetime | None:
    """Return the start of `day` in UTC."""
    return None if day is None else _instant_at(day, time.min, zone)


def day_after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)


def _instant_at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When `clock` is shown on `day`; the later instant where clocks going back show it twice.

    In UTC, because Python compares two times of one zone by the clock and forgets the change.
    """
    shown = datetime.combine(day, clock, tzinfo=zone)
    return max(shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC))
