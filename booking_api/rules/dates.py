"""When an exam, or a booking of one, is over.

An exam's own end is the best answer. A booking whose exam is gone still knows its date: then the
end of that day, in the portal's time zone. Without any date nothing is ever over, so that a student
sees a booking with something missing rather than losing it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant that is no longer `day`; the day a clock changes is handled."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)


def is_over(ends_at: datetime | None, now: datetime) -> bool:
    return ends_at is not None and ends_at <= now
