"""Which students were here lately, so that what they will ask for can be loaded before they do.

Only whose pair was right is noted: no guess of a stranger's gets in here. What is kept is the
contact's id and a day, for so many days as warming looks back. A request only notes in memory; a
worker writes what is new every few seconds, each student once a day. What a process that is killed
has not written yet is lost: that student is loaded when they ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

from django.db import Error as DatabaseFailure
from django.db.models import QuerySet

from booking_api.pairs.models import SeenStudent
from booking_api.pairs.today import Today
from cache_layer import Recent
from hubspot_sync.background.retention import delete_expired
from hubspot_sync.background.worker import Worker
from hubspot_sync.batching.chunking import chunks

MAX_HELD: Final = 10_000
"""Students remembered in memory; of more, half of them, noted longest ago, are written again."""
MAX_UNWRITTEN: Final = 5_000
MAX_ROWS: Final = 200_000
MAX_PER_STATEMENT: Final = 200
MAX_DAYS: Final = 36_500
"""More than anybody means; the calendar begins some lifetimes before."""
GATHER_S: Final = 5.0
PRUNE_EVERY_S: Final = 3_600.0


class SeenStudents:
    """One process's part; the thread of `worker` runs in a process that serves. Students are kept
    for `keep_days` after they were last here; with 0 none is."""

    def __init__(self, keep_days: int, now: Callable[[], datetime]) -> None:
        self._keep = timedelta(days=min(keep_days, MAX_DAYS))
        self._now = now
        self._today = Today(now)
        self._lock = threading.Lock()
        self._held: Recent[str, date] = Recent(MAX_HELD)
        self._unwritten: dict[str, date] = {}
        self.worker = Worker(
            "seen students",
            self.write_noted,
            gather_s=GATHER_S,
            finish=self._write,
            starts_when_woken=False,
        )

    def note(self, contact_id: str) -> None:
        """Take notice that this contact's pair was right."""
        if not self._keep:
            return
        today = self._today()
        with self._lock:
            if self._held.get(contact_id) == today:
                return
            if len(self._unwritten) >= MAX_UNWRITTEN:
                # Their next request is soon enough.
                return
            self._unwritten[contact_id] = today
            self._held.hold(contact_id, today)
        self.worker.wake()

    def forget(self, contact_ids: Collection[str]) -> None:
        """Keep nothing of these contacts; raise Django's database errors. What another process has
        noted of them and not written yet may come after this."""
        with self._lock:
            for contact_id in contact_ids:
                self._unwritten.pop(contact_id, None)
                self._held.drop(contact_id)
        for part in chunks(sorted(contact_ids), MAX_PER_STATEMENT):
            SeenStudent.objects.filter(contact_id__in=part).delete()

    def seen_lately(self, days: int, at_most: int) -> list[str]:
        """Return the contacts seen within so many days, those seen last first; raise Django's
        database errors."""
        since = self._today() - timedelta(days=min(days, MAX_DAYS))
        rows = SeenStudent.objects.filter(last_seen__gte=since).order_by("-last_seen", "contact_id")
        return list(rows.values_list("contact_id", flat=True)[: min(at_most, MAX_ROWS)])

    def write_noted(self) -> float:
        """Write what was noted and drop what is too old; return for how many seconds to rest."""
        delete_expired(_last_seen_before, keep=self._keep, now=self._now())
        self._write()
        return PRUNE_EVERY_S

    def _write(self) -> None:
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        if len(unwritten) == 0:
            return
        try:
            kept = _within_room(unwritten)
            SeenStudent.objects.bulk_create(
                [
                    SeenStudent(contact_id=contact_id, last_seen=unwritten[contact_id])
                    for contact_id in sorted(kept)
                ],
                batch_size=MAX_PER_STATEMENT,
                update_conflicts=True,
                unique_fields=["contact_id"],
                update_fields=["last_seen"],
            )
        except DatabaseFailure:
            with self._lock:
                self._unwritten = unwritten | self._unwritten
            raise


def _within_room(contact_ids: Collection[str]) -> Collection[str]:
    """Return whom the table has room for: when it is full, nobody new is added until somebody's
    time is over; raise Django's database errors."""
    room = max(0, MAX_ROWS - SeenStudent.objects.count())
    if len(contact_ids) <= room:
        return contact_ids
    known: set[str] = set()
    for part in chunks(sorted(contact_ids), MAX_PER_STATEMENT):
        rows = SeenStudent.objects.filter(contact_id__in=part)
        known.update(rows.values_list("contact_id", flat=True))
    return known.union(islice(sorted(set(contact_ids) - known), room))


def _last_seen_before(moment: datetime) -> QuerySet[SeenStudent]:
    return SeenStudent.objects.filter(last_seen__lt=moment.date())
