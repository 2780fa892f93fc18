"""What becomes of an invalidation that the backend did not hear of, and whether, meanwhile, entries
may be read.

Here is what both kinds of delivery do, and the one for a cache that no other process reads: what is
pending stays in this process's memory, and the next reader delivers it before it reads.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Protocol

from cache_layer.backends.base import Backend
from cache_layer.backends.chunks import split_into_chunks
from cache_layer.coherence.backend_faults import BackendFaults
from cache_layer.coherence.flush import flush_entries
from cache_layer.coherence.pending import InvalidationBatch, PendingInvalidations
from cache_layer.errors import BackendUnavailable

# One step of a shared backend; it serves nobody else meanwhile.
MAX_NAMES_PER_STEP = 1_000


class Delivery(Protocol):
    """How undelivered invalidations reach the backend, in the end."""

    @property
    def all_delivered(self) -> bool:
        """Whether the backend has heard of every invalidation, as far as this process knows."""
        ...

    def prepare_read(self) -> bool:
        """Do what must come before a read of entries, and return whether they may be read now: no
        acknowledged invalidation is still on its way to the backend."""
        ...

    def keep(self, tags: Collection[str], keys: Collection[str], *, flush: bool = False) -> int:
        """Take an invalidation over that the backend did not hear of; from now on this process
        reads no entries until it has. Return the number of the invalidation."""
        ...

    def await_acknowledgement(self, number: int) -> bool:
        """Wait until every process will see a kept invalidation, and return whether that is so;
        raises InvalidationUnacknowledged where nobody could be told."""
        ...

    def start(self) -> None:
        """Begin what goes on in the background; the first read does so too."""
        ...

    def close(self) -> None: ...


class OwnDelivery:
    """For one process. What it keeps is in its memory alone, and so is never acknowledged: it keeps
    to it, and whoever must be sure asks again until it is delivered."""

    def __init__(self, backend: Backend, faults: BackendFaults) -> None:
        self._backend = backend
        self._faults = faults
        self._pending = PendingInvalidations()
        self._delivering = threading.Lock()

    @property
    def all_delivered(self) -> bool:
        return not self._pending

    def prepare_read(self) -> bool:
        if not self._pending:
            return True
        # One thread delivers; the others do not wait for it, they read past the cache.
        if not self._delivering.acquire(blocking=False):
            return False
        try:
            self._pending.deliver(lambda batch: deliver_batch(self._backend, batch))
        except BackendUnavailable as error:
            self._faults.record("deliver", error)
        finally:
            self._delivering.release()
        return self.all_delivered

    def keep(self, tags: Collection[str], keys: Collection[str], *, flush: bool = False) -> int:
        return self._pending.add(tags, keys, flush=flush)

    def await_acknowledgement(self, number: int) -> bool:  # noqa: ARG002 - of any of them
        return False

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""


def deliver_batch(backend: Backend, batch: InvalidationBatch) -> None:
    """Tell the backend; raises BackendUnavailable. Told twice, it only removes more."""
    if batch.flush:
        flush_entries(backend, lambda _: True)
        return
    for tags in split_into_chunks(sorted(batch.tags), MAX_NAMES_PER_STEP):
        backend.invalidate(tags, ())
    for keys in split_into_chunks(sorted(batch.keys), MAX_NAMES_PER_STEP):
        backend.invalidate((), keys)
