"""How long rows are kept once nothing is left to do with them, and how they go.

Whoever owns a table says which of its rows ended before a moment and are needed by nobody; a row
that still waits for something, or that a person has to look at, is never among them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

EndedBefore = Callable[[datetime], QuerySet[Any]]


def delete_expired(ended_before: EndedBefore, *, keep: timedelta, now: datetime) -> int:
    """Delete the rows that ended longer than `keep` ago, with what belongs to them; return how many
    of these rows there were."""
    expired = ended_before(now - keep)
    _, deleted = expired.delete()
    return deleted.get(expired.model._meta.label, 0)
