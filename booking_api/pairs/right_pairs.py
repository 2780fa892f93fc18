"""Pairs that were right, by the address they came from: who is let in while others guess there.

A pair that proved right is noted in memory; a worker writes what is new every few seconds, so that
another process, and this one after a restart, know it too. The database is read only where a caller
would be refused otherwise. What is kept are digests, for `KEEP`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from django.db import Error as DatabaseFailure
from django.db.models import Q, QuerySet

from booking_api.pairs.digests import CallerDigests, Digests
from booking_api.pairs.models import RightPair
from booking_api.pairs.today import Today
from booking_api.rules.students import StudentPair
from cache_layer import Recent
from hubspot_sync.background.retention import delete_expired
from hubspot_sync.background.worker import Worker
from hubspot_sync.batching.chunking import chunks

KEEP: Final = timedelta(days=30)
MAX_HELD: Final = 10_000
"""Callers remembered in memory; of more, half of them, not seen for longest, are read again."""
MAX_UNWRITTEN: Final = 5_000
"""Callers kept until the worker writes them; of more, their next request is soon enough."""
MAX_ROWS: Final = 500_000
MAX_PER_STATEMENT: Final = 200
GATHER_S: Final = 2.0
PRUNE_EVERY_S: Final = 3_600.0

log = structlog.get_logger(__name__)


class RightPairs:
    """One process's part; the thread of `worker` runs in a process that serves."""

    def __init__(self, digests: Digests, now: Callable[[], datetime]) -> None:
        self._digests = digests
        self._now = now
        self._today = Today(now)
        self._lock = threading.Lock()
        self._held: Recent[str, date] = Recent(MAX_HELD)
        self._unwritten: dict[str, CallerDigests] = {}
        self._forgotten: set[str] = set()
        self._being_deleted: set[str] = set()
        self.worker = Worker(
            "right pairs",
            self.write_noted,
            gather_s=GATHER_S,
            finish=self._write,
            starts_when_woken=False,
        )

    def note(self, address: str, pair: StudentPair) -> None:
        """Take notice that a pair was right."""
        key, today = self._digests.of_pair_from(address, pair), self._today()
        with self._lock:
            is_known = self._hold(key, today)
            if is_known or len(self._unwritten) >= MAX_UNWRITTEN:
                return
            self._unwritten[key] = self._digests.of_caller(address, pair)
        self.worker.wake()

    def forget(self, address: str, pair: StudentPair) -> None:
        """Take back that a pair was right: it is no longer."""
        key = self._digests.of_pair_from(address, pair)
        with self._lock:
            self._held.drop(key)
            self._unwritten.pop(key, None)
            if len(self._forgotten) < MAX_UNWRITTEN:
                self._forgotten.add(key)
        self.worker.wake()

    def holds(self, address: str, pair: StudentPair) -> bool:
        """Whether this process knows that the pair was right from there."""
        key = self._digests.of_pair_from(address, pair)
        with self._lock:
            return (self._held.get(key) or date.min) > self._today() - KEEP

    def was_right(self, address: str, pair: StudentPair) -> bool:
        """Whether the pair was right from there within `KEEP`; not so, too, where the database does
        not answer."""
        try:
            return self.find_right(address, pair)
        except DatabaseFailure as error:
            _report("find", error)
            return False

    def find_right(self, address: str, pair: StudentPair) -> bool:
        """Return whether the pair was right from there within `KEEP`; raise Django's database
        errors."""
        if self.holds(address, pair):
            return True
        key = self._digests.of_pair_from(address, pair)
        found = self._find(Q(pair=key))
        with self._lock:
            if found is None or key in self._forgotten | self._being_deleted:
                return False
            self._hold(key, found)
        return True

    def was_half_right(self, address: str, pair: StudentPair) -> bool:
        """Whether a right pair with this student id, or with this e-mail, came from there."""
        caller = self._digests.of_caller(address, pair)
        try:
            found = self._find(Q(student_id=caller.student_id) | Q(email=caller.email))
        except DatabaseFailure as error:
            _report("find", error)
            return False
        return found is not None

    def write_noted(self) -> float:
        """Write what was noted and drop what is too old; return for how many seconds to rest."""
        delete_expired(_last_used_before, keep=KEEP, now=self._now())
        self._write()
        return PRUNE_EVERY_S

    def _write(self) -> None:
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
            # Those too whose deletion failed.
            self._being_deleted |= self._forgotten
            self._forgotten = set()
        try:
            for keys in chunks(sorted(self._being_deleted), MAX_PER_STATEMENT):
                RightPair.objects.filter(pair__in=keys).delete()
            with self._lock:
                self._being_deleted = set()
            self._insert(unwritten.values())
        except DatabaseFailure:
            with self._lock:
                kept = {key: each for key, each in unwritten.items() if key not in self._forgotten}
                self._unwritten = kept | self._unwritten
            raise

    def _insert(self, callers: Collection[CallerDigests]) -> None:
        # When the table is full, those in it are let in a while longer, and nobody new is added.
        room = max(0, MAX_ROWS - RightPair.objects.count())
        today = self._today()
        RightPair.objects.bulk_create(
            [
                RightPair(
                    pair=each.pair, student_id=each.student_id, email=each.email, last_used=today
                )
                for each in islice(callers, room)
            ],
            batch_size=MAX_PER_STATEMENT,
            update_conflicts=True,
            unique_fields=["pair"],
            update_fields=["last_used"],
        )

    def _hold(self, key: str, day: date) -> bool:
        """Hold a caller as the one seen last; say whether that day was held already."""
        is_known = self._held.get(key) == day
        self._held.hold(key, day)
        return is_known

    def _find(self, named: Q) -> date | None:
        """Return the day of the latest row; raise Django's database errors."""
        since = self._today() - KEEP
        rows = RightPair.objects.filter(named, last_used__gt=since).order_by("-last_used")
        return rows.values_list("last_used", flat=True).first()


def _last_used_before(moment: datetime) -> QuerySet[RightPair]:
    return RightPair.objects.filter(last_used__lt=moment.date())


def _report(step: str, error: Exception) -> None:
    log.warning("right_pairs_unreachable", step=step, error=type(error).__name__)
