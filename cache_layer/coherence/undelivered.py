"""The table of undelivered invalidations: what every process looks at before it trusts its cache.

Here is what the table must do; where it is kept is for whoever opens the cache to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from cache_layer.coherence.pending import InvalidationBatch


@dataclass(frozen=True, slots=True)
class UndeliveredRow:
    """A batch that the backend has not heard of, as far as the table knows."""

    row_id: int
    batch: InvalidationBatch


class UndeliveredTable(Protocol):
    """Rows that all processes sharing a backend see. Every method may raise TableUnavailable."""

    def insert(self, batch: InvalidationBatch) -> int:
        """Add a row that every look which begins later sees; return its id."""
        ...

    def read_oldest(self, limit: int) -> Sequence[UndeliveredRow]:
        """Return the rows with the lowest ids, in their order."""
        ...

    def contains(self, row_id: int) -> bool: ...

    def delete(self, row_ids: Collection[int]) -> None:
        """Remove these rows, and no others."""
        ...


class BackgroundWorker(Protocol):
    """A thread that takes one step after the other."""

    def start(self) -> None:
        """Start the thread unless it is alive."""
        ...

    def wake(self) -> None:
        """Have a step taken now, by a thread that is started where there is none."""
        ...

    def stop(self) -> object: ...


MakeWorker = Callable[[str, Callable[[], float]], BackgroundWorker]
"""Makes a worker of a name and a step that returns for how many seconds to rest after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredParts:
    """What a shared cache needs beside its backend. `clock` is the real one, in seconds, even where
    entries age by another: other processes wait by it."""

    table: UndeliveredTable
    make_worker: MakeWorker
    clock: Callable[[], float] = time.monotonic
