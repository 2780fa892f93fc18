"""What a backend has not heard of yet, kept in this process's memory until it is elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

# Tags and keys together; a backend may be away for hours, and every write and webhook names some.
MAX_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidationBatch:
    """Invalidations made into one; a flush among them removes everything. `until` is the number of
    the latest."""

    tags: frozenset[str]
    keys: frozenset[str]
    flush: bool
    until: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.tags or self.keys or self.flush)


class PendingInvalidations:
    """Invalidations in the order of their numbers; a flush stands for them all where they name more
    than `MAX_PENDING`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._flush = 0
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._tags or self._keys or self._flush)

    def add(self, tags: Collection[str], keys: Collection[str], *, flush: bool = False) -> int:
        """Add an invalidation and return its number."""
        with self._lock:
            self._added += 1
            self._tags.update(dict.fromkeys(tags, self._added))
            self._keys.update(dict.fromkeys(keys, self._added))
            crowded = len(self._tags) + len(self._keys) > MAX_PENDING
            if flush or crowded:
                self._flush = self._added
            if crowded:
                self._tags, self._keys = {}, {}
            return self._added

    def take_batch(self) -> InvalidationBatch:
        """Return all that is pending; it stays pending."""
        with self._lock:
            return InvalidationBatch(
                tags=frozenset(self._tags),
                keys=frozenset(self._keys),
                flush=self._flush > 0,
                until=self._added,
            )

    def forget(self, batch: InvalidationBatch) -> None:
        """Forget a batch, but not what was added since it was taken, even the same tag or key."""
        with self._lock:
            self._tags = {tag: at for tag, at in self._tags.items() if at > batch.until}
            self._keys = {key: at for key, at in self._keys.items() if at > batch.until}
            self._flush = self._flush if self._flush > batch.until else 0

    def deliver(self, tell: Callable[[InvalidationBatch], None]) -> None:
        """Call `tell` with all that is pending, and forget it unless that raises."""
        batch = self.take_batch()
        tell(batch)
        self.forget(batch)
