"""Processes that share a backend and a database, each with connections that can be cut.

Nothing happens by itself: the workers' steps are taken by whoever tests, and time passes when told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from cache_layer import CacheConfig, Counters
from cache_layer.backends.base import Backend
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.coherence.pending import InvalidationBatch
from cache_layer.coherence.shared_delivery import SharedDelivery
from cache_layer.coherence.undelivered import UndeliveredParts, UndeliveredRow
from cache_layer.errors import TableUnavailable
from tests.cache_layer.coherence.coherence_machine import CATALOGUE
from tests.cache_layer.faithful import Breakable
from tests.cache_layer.support import Clock

CONFIG = CacheConfig(retry_s=0.5)


class Rows:
    """What is in the database."""

    def __init__(self) -> None:
        self.by_id: dict[int, InvalidationBatch] = {}
        self.latest = 0


class Table:
    """One process's connection to it; `after_reading` runs once while the answer is on its way."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.cut_off = False
        self.after_reading: Callable[[], object] | None = None

    def insert(self, batch: InvalidationBatch) -> int:
        self._reach()
        self._rows.latest += 1
        self._rows.by_id[self._rows.latest] = batch
        return self._rows.latest

    def read_oldest(self, limit: int) -> Sequence[UndeliveredRow]:
        self._reach()
        found = [UndeliveredRow(*each) for each in sorted(self._rows.by_id.items())[:limit]]
        meanwhile, self.after_reading = self.after_reading, None
        if meanwhile is not None:
            meanwhile()
        return found

    def contains(self, row_id: int) -> bool:
        self._reach()
        return row_id in self._rows.by_id

    def delete(self, row_ids: Collection[int]) -> None:
        self._reach()
        for row_id in row_ids:
            self._rows.by_id.pop(row_id, None)

    def _reach(self) -> None:
        if self.cut_off:
            raise TableUnavailable("cut off")


class IdleWorker:
    """Takes no step by itself."""

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.step = step

    def start(self) -> None:
        """Does nothing."""

    def wake(self) -> None:
        """Does nothing."""

    def stop(self) -> None:
        """Does nothing."""


class Shared(Breakable):
    """A process's connection to the backend of all."""

    shared = True


class Process:
    """One process; made again where it dies."""

    def __init__(
        self,
        inner: Backend,
        rows: Rows,
        clock: Clock,
        delivery: type[SharedDelivery] = SharedDelivery,
    ) -> None:
        self.backend = Shared(inner)
        self.table = Table(rows)
        parts = UndeliveredParts(table=self.table, make_worker=IdleWorker, clock=clock)
        self.store = GuardedStore(
            backend=self.backend,
            catalogue=CATALOGUE,
            config=CONFIG,
            counters=Counters(),
            clock=clock,
            undelivered=parts,
        )
        made = self.store.delivery
        assert isinstance(made, SharedDelivery)
        # A broken one, where the tests are tested.
        made.__class__ = delivery
        self.delivery = made
        self.delivery.look()
