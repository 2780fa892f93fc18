"""Delivery for a cache that many processes read: a process that cannot reach the backend tells the
others by a table in the database.

Two workers in each process. The *recorder* writes what the backend did not hear of into the table.
The *watcher* looks there every `look_every_s`, tells the backend what it finds, and deletes what it
told. The cache is trusted for a part of `trust_s` after the beginning of a look that found nothing;
a longer time without one, for whatever reason, and this process reads past its cache.

So an invalidation is acknowledged when its row is gone, which is when the backend has heard of it;
or `trust_s` after it was recorded, for by then each process has found the row or trusts nothing; or
at once, where another row that this process has known for as long is still there, for then nobody
has trusted anything since. Trust is never given for rows that were only just told and deleted, but
by the next look: the third of these needs that.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cache_layer.backends.base import Backend
from cache_layer.coherence.backend_faults import BackendFaults
from cache_layer.coherence.delivery import deliver_batch
from cache_layer.coherence.pending import InvalidationBatch, PendingInvalidations
from cache_layer.coherence.undelivered import UndeliveredParts, UndeliveredRow
from cache_layer.config import CacheConfig
from cache_layer.counters import Counters
from cache_layer.errors import BackendUnavailable, InvalidationUnacknowledged, TableUnavailable

MAX_ROWS_PER_LOOK = 200
# Clocks of different hosts do not run equally fast: readers stop trusting before writers go on.
READERS_SHARE = 0.95
# A database that is silent has said so by then; what waits is answered with an error.
MAX_WAIT_S = 10.0
# The first reader of a process waits so long for the first look; then reads bypass.
MAX_FIRST_LOOK_S = 2.0
LOOK_WHILE_AWAITED_S = 0.1
IDLE_S = 3600.0


@dataclass(frozen=True, slots=True)
class _RecordedBatch:
    """The invalidations numbered `first` to `until`, in a row that was stored by `at_s`. A look
    that began after this process's change number `change` sees the row."""

    first: int
    until: int
    row_id: int
    at_s: float
    change: int


@dataclass(frozen=True, slots=True)
class _KnownRow:
    """A row of anybody's that has been there since `since_s` at the latest."""

    row_id: int
    since_s: float


class SharedDelivery:
    """One process's part in it. Its two steps, `record_pending` and `look`, are the workers'."""

    def __init__(
        self,
        *,
        backend: Backend,
        faults: BackendFaults,
        counters: Counters,
        config: CacheConfig,
        parts: UndeliveredParts,
    ) -> None:
        self._backend = backend
        self._faults = faults
        self._table_faults = BackendFaults(counters, config.retry_s, parts.clock)
        self._table = parts.table
        self._clock = parts.clock
        self._retry_s = config.retry_s
        self._trust_s = config.trust_s
        self._look_every_s = config.look_every_s
        self._trusted_until_s = -math.inf
        self._pending = PendingInvalidations()
        # Guards all that follows, and tells those who wait.
        self._changed = threading.Condition()
        self._changes = 0
        self._recorded_until = 0
        self._recorded: list[_RecordedBatch] = []
        self._known_row: _KnownRow | None = None
        self._found_none = True
        self._failed_until = 0
        self._failure: TableUnavailable | None = None
        self._tell_at_s = -math.inf
        self._has_looked = threading.Event()
        self._recorder = parts.make_worker("cache-recorder", self.record_pending)
        self._watcher = parts.make_worker("cache-watcher", self.look)

    @property
    def all_delivered(self) -> bool:
        return self._found_none and not self._pending

    def prepare_read(self) -> bool:
        if self._clock() < self._trusted_until_s:
            return True
        self._watcher.start()
        if not self._has_looked.is_set():
            self._has_looked.wait(MAX_FIRST_LOOK_S)
            self._has_looked.set()
        return self._clock() < self._trusted_until_s

    def start(self) -> None:
        self._watcher.start()

    def close(self) -> None:
        self._recorder.stop()
        self._watcher.stop()

    def keep(self, tags: Collection[str], keys: Collection[str], *, flush: bool = False) -> int:
        with self._changed:
            number = self._pending.add(tags, keys, flush=flush)
            self._trusted_until_s = -math.inf
        self._recorder.wake()
        return number

    def await_acknowledgement(self, number: int) -> bool:
        give_up_s = self._clock() + MAX_WAIT_S
        with self._changed:
            while not self._is_acknowledged(number):
                now_s = self._clock()
                if number <= self._failed_until or now_s >= give_up_s:
                    raise InvalidationUnacknowledged(
                        "Neither the cache nor the database took an invalidation."
                    ) from self._failure
                self._changed.wait(min(give_up_s, self._acknowledged_at_s(number)) - now_s)
        return True

    def is_acknowledged(self, number: int) -> bool:
        """Say whether every process will see a kept invalidation."""
        with self._changed:
            return self._is_acknowledged(number)

    def record_pending(self) -> float:
        """Write what is pending into the table; where that does not answer, tell the backend.
        Return for how many seconds there is nothing to do."""
        batch = self._pending.take_batch()
        if batch.is_empty:
            return IDLE_S
        try:
            row_id = self._table.insert(batch)
        except TableUnavailable as error:
            self._table_faults.record("record an invalidation", error)
            return self._tell_unrecorded(batch, error)
        self._note_recorded(batch, row_id)
        self._watcher.wake()
        return 0.0

    def look(self) -> float:
        """Look into the table, tell the backend what is there and delete it. Return for how many
        seconds to rest before the next look."""
        began_s, changes = self._clock(), self._changes
        try:
            rows = self._table.read_oldest(MAX_ROWS_PER_LOOK)
        except TableUnavailable as error:
            self._table_faults.record("look for undelivered invalidations", error)
            self._has_looked.set()
            return self._look_every_s
        self._note_look(rows, began_s, changes)
        self._has_looked.set()
        if len(rows) > 0 and self._clock() >= self._tell_at_s and self._tell_and_delete(rows):
            return 0.0
        return LOOK_WHILE_AWAITED_S if self._recorded else self._look_every_s

    # What the recorder knows -------------------------------------------------------------------

    def _note_recorded(self, batch: InvalidationBatch, row_id: int) -> None:
        recorded_s = self._clock()
        nobody_trusts = self._has_nobody_trusted(recorded_s)
        with self._changed:
            self._found_none = False
            if not nobody_trusts:
                self._recorded.append(
                    _RecordedBatch(
                        first=self._recorded_until + 1,
                        until=batch.until,
                        row_id=row_id,
                        at_s=recorded_s,
                        change=self._changes + 1,
                    )
                )
            self._settle(batch)

    def _has_nobody_trusted(self, now_s: float) -> bool:
        """Whether a row that this process has known for `trust_s` is still there. Asked after
        another was recorded: nobody has looked and found nothing between the two."""
        known = self._known_row
        if known is None or now_s - known.since_s < self._trust_s:
            return False
        try:
            return self._table.contains(known.row_id)
        except TableUnavailable as error:
            self._table_faults.record("look for undelivered invalidations", error)
            return False

    def _tell_unrecorded(self, batch: InvalidationBatch, failure: TableUnavailable) -> float:
        try:
            deliver_batch(self._backend, batch)
        except BackendUnavailable as error:
            self._faults.record("deliver", error)
            with self._changed:
                self._failed_until, self._failure = batch.until, failure
                self._changed.notify_all()
            return self._look_every_s
        with self._changed:
            self._settle(batch)
        self._watcher.wake()
        return 0.0

    def _settle(self, batch: InvalidationBatch) -> None:
        self._pending.forget(batch)
        self._recorded_until = batch.until
        self._changes += 1
        self._changed.notify_all()

    # What the watcher knows --------------------------------------------------------------------

    def _note_look(self, rows: Sequence[UndeliveredRow], began_s: float, changes: int) -> None:
        now_s = self._clock()
        there = {row.row_id for row in rows}
        with self._changed:
            if len(rows) == 0:
                self._known_row = None
            elif self._known_row is None or self._known_row.row_id not in there:
                self._known_row = _KnownRow(rows[0].row_id, now_s)
            seen_until = rows[-1].row_id if len(rows) == MAX_ROWS_PER_LOOK else math.inf
            self._recorded = [
                recorded
                for recorded in self._recorded
                if now_s < recorded.at_s + self._trust_s
                and (
                    recorded.row_id in there
                    or recorded.change > changes
                    or recorded.row_id > seen_until
                )
            ]
            if len(rows) > 0:
                self._found_none, self._trusted_until_s = False, -math.inf
            # What was kept or recorded meanwhile, this look may not have seen.
            elif changes == self._changes and not self._pending:
                self._found_none = True
                self._trusted_until_s = began_s + self._trust_s * READERS_SHARE
            self._changed.notify_all()

    def _tell_and_delete(self, rows: Sequence[UndeliveredRow]) -> bool:
        """Tell the backend of all rows and delete them; return whether that was done."""
        try:
            deliver_batch(self._backend, _merge(rows))
        except BackendUnavailable as error:
            self._faults.record("deliver", error)
            self._tell_at_s = self._clock() + self._retry_s
            return False
        try:
            self._table.delete([row.row_id for row in rows])
        except TableUnavailable as error:
            self._table_faults.record("delete a delivered invalidation", error)
            return False
        return True

    # Called with `_changed` held ---------------------------------------------------------------

    def _is_acknowledged(self, number: int) -> bool:
        if number > self._recorded_until:
            return False
        return self._clock() >= self._acknowledged_at_s(number)

    def _acknowledged_at_s(self, number: int) -> float:
        """Return when a number is acknowledged, unless its row is gone before."""
        if number > self._recorded_until:
            return math.inf
        rows = (row for row in self._recorded if row.first <= number <= row.until)
        return max((row.at_s + self._trust_s for row in rows), default=-math.inf)


def _merge(rows: Sequence[UndeliveredRow]) -> InvalidationBatch:
    return InvalidationBatch(
        tags=frozenset().union(*(row.batch.tags for row in rows)),
        keys=frozenset().union(*(row.batch.keys for row in rows)),
        flush=any(row.batch.flush for row in rows),
    )
