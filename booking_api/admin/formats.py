"""What the desk's pages say of ages and of JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from booking_api import composition
from hubspot_sync.wire.storable_text import make_storable

MAX_AGE_IN_SECONDS: Final = timedelta(minutes=2)
"""Younger ages are told in seconds, older ones in words."""


def format_age(age: timedelta) -> str:
    """Return an age as a person reads it."""
    if age < MAX_AGE_IN_SECONDS:
        return f"{max(0.0, age.total_seconds()):.0f} s"
    now = timezone.now()
    return timesince(now - age, now)


def format_age_since(moment: datetime) -> str:
    return format_age(stored_now() - moment)


def stored_now() -> datetime:
    """Return the time by the clock that the desk's rows are written by."""
    return composition.services().booking.desk_context.now()


def render_json(value: Any) -> SafeString:
    """Return JSON as a person reads it; what is no text, half an emoji, is shown as a sign."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html("<pre>{}</pre>", make_storable(text))
