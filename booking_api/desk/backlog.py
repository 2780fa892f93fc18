"""What waits for a desk, told by two queries that cost next to nothing where nothing waits.

A desk looks so before each step, and reads rows only where there are some. Both queries are the
same each time, and built once: Django takes several times as long to build such a query as the
database to answer it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q

from booking_api.desk.journal.models import UNFINISHED, CreditReview, EntryState, JournalEntry

_OPEN_ROWS = (
    JournalEntry.objects.filter(state__in=(EntryState.QUEUED, *UNFINISHED))
    .order_by()
    .values("state", "kind")
    .annotate(
        first_given_up_at=Min("wanted_until"),
        last_given_up_at=Max("wanted_until"),
        next_due_at=Min("next_attempt_at"),
        undated=Count("id", filter=Q(next_attempt_at__isnull=True)),
    )
)
_REVIEW_TIMES = CreditReview.objects.order_by("next_attempt_at").values_list(
    "next_attempt_at", flat=True
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """What there is to do at one moment: `waiting` are the kinds of the requests in the queue that
    somebody still waits for, `has_given_up` says whether there are others; `has_unfinished` and
    `has_reviews` say whether any are due."""

    waiting: frozenset[str]
    has_given_up: bool
    has_unfinished: bool
    has_reviews: bool

    @property
    def is_empty(self) -> bool:
        return not (self.waiting or self.has_given_up or self.has_unfinished or self.has_reviews)


def read_backlog(now: datetime, left_out: Collection[int] = ()) -> Backlog:
    """Return what there is to do now, but for the rows that are left out, by their ids."""
    open_rows = _OPEN_ROWS.all() if len(left_out) == 0 else _OPEN_ROWS.exclude(id__in=left_out)
    waiting, has_given_up, has_unfinished = set[str](), False, False
    for found in open_rows:
        if found["state"] != EntryState.QUEUED:
            next_due_at = found["next_due_at"]
            is_due = found["undated"] > 0 or (next_due_at is not None and next_due_at <= now)
            has_unfinished = has_unfinished or is_due
            continue
        has_given_up = has_given_up or found["first_given_up_at"] <= now
        if found["last_given_up_at"] > now:
            waiting.add(found["kind"])
    next_review_at = _REVIEW_TIMES.first()
    return Backlog(
        waiting=frozenset(waiting),
        has_given_up=has_given_up,
        has_unfinished=has_unfinished,
        has_reviews=next_review_at is not None and next_review_at <= now,
    )
