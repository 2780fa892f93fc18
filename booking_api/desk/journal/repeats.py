"""The same booking asked for again without a key: by a second click, or because nobody answered.

Only what is the same to the letter is taken for a repeat: student, exam and fields, by fingerprint.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from booking_api.desk.journal.idempotency import fingerprint
from booking_api.desk.journal.models import UNSETTLED, EntryState, JournalEntry, RequestKind
from booking_api.desk.journal.requests import CreateRequest

REPEAT_WINDOW: Final = timedelta(minutes=2)
"""So long after its success a request that comes again is a repeat."""
AT_WORK: Final = (EntryState.QUEUED, *UNSETTLED)


def find_firsts(
    request: CreateRequest, arrived_at: datetime, passed_over: Collection[int] = ()
) -> list[JournalEntry]:
    """Return what a request that arrived then, without a key, may be a repeat of: the same one at
    work, or booked within the window. What is at work comes first, then the newest. Rows are passed
    over by their ids."""
    rows = JournalEntry.objects.filter(
        Q(state__in=AT_WORK) | Q(state=EntryState.DONE, changed_at__gt=arrived_at - REPEAT_WINDOW),
        kind=RequestKind.CREATE,
        fingerprint=fingerprint(request),
    ).exclude(id__in=passed_over)
    return sorted(rows, key=lambda row: (row.state == EntryState.DONE, -row.id))
