"""What the desk's pages say of ages and of JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from booking_api import composition
from booking_api.desk.journal.models import ENDED, JournalEntry
from hubspot_sync.wire.storable_text import make_storable

MAX_AGE_IN_SECONDS: Final = timedelta(minutes=2)
"""Younger ages are told in seconds, older ones in words."""

MAX_EXACT_AGE: Final = timedelta(seconds=10)


def format_age(age: timedelta) -> str:
    """Return an age as a person reads it."""
    if age < MAX_AGE_IN_SECONDS:
        return f"{max(0.0, age.total_seconds()):.0f} s"
    now = timezone.now()
    return timesince(now - age, now)


def format_age_since(moment: datetime) -> str:
    return format_age(stored_now() - moment)


def format_took(row: JournalEntry) -> str:
    """Return how long a row took from its arrival to its end, or has taken so far: what has ended
    does not age."""
    if row.state not in ENDED:
        return f"{format_age_since(row.arrived_at)} so far"
    took = row.changed_at - row.arrived_at
    if took < MAX_EXACT_AGE:
        return f"{max(0.0, took.total_seconds()):.1f} s"
    return format_age(took)


def format_moment(moment: datetime) -> str:
    """Return a moment as the console's lists show it, in the zone of the request."""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def stored_now() -> datetime:
    """Return the time by the clock that the desk's rows are written by."""
    return composition.services().booking.desk_context.now()


def render_json(value: Any) -> SafeString:
    """Return JSON as a person reads it; what is no text, half an emoji, is shown as a sign."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html("<pre>{}</pre>", make_storable(text))
