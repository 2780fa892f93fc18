"""How long rows are kept once nothing is left to do with them, and how they go.

Whoever owns a table says which of its rows ended before a moment and are needed by nobody; a row
that still waits for something, or that a person has to look at, is never among them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

MAX_AT_ONCE = 500
"""SQLite takes a limited number of values in one query."""

EndedBefore = Callable[[datetime], QuerySet[Any]]


def delete_expired(ended_before: EndedBefore, *, keep: timedelta, now: datetime) -> int:
    """Delete the rows that ended longer than `keep` ago, with what belongs to them; return how many
    of these rows there were."""
    expired = ended_before(now - keep)
    label, count = expired.model._meta.label, 0
    # In parts, each of which is quick: one statement for years of rows would be cut off.
    while keys := list(expired.values_list("pk", flat=True)[:MAX_AT_ONCE]):
        _, deleted = expired.filter(pk__in=keys).delete()
        count += deleted.get(label, 0)
    return count
