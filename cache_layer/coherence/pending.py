"""What a backend has not heard of yet, kept in this process's memory until it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

# Tags and keys together; a backend may be away for hours, and every write and webhook names some.
MAX_PENDING = 10_000


class PendingInvalidations:
    """Invalidations the backend has not heard of yet; a flush among them removes everything, and
    stands for them all where there are more than `MAX_PENDING`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._flush = 0
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._tags or self._keys or self._flush)

    def add(self, tags: Collection[str], keys: Collection[str], *, flush: bool = False) -> None:
        with self._lock:
            self._added += 1
            self._tags.update(dict.fromkeys(tags, self._added))
            self._keys.update(dict.fromkeys(keys, self._added))
            crowded = len(self._tags) + len(self._keys) > MAX_PENDING
            if flush or crowded:
                self._flush = self._added
            if crowded:
                self._tags, self._keys = {}, {}

    def deliver(self, invalidate: Callable[[Collection[str], Collection[str], bool], None]) -> None:
        """Call `invalidate(tags, keys, flush)` with all that is pending, and forget it unless that
        raises. What is added during the call stays pending, even the same tag or key."""
        with self._lock:
            tags, keys, flush, until = [*self._tags], [*self._keys], self._flush > 0, self._added
        invalidate(tags, keys, flush)
        with self._lock:
            self._tags = {tag: added for tag, added in self._tags.items() if added > until}
            self._keys = {key: added for key, added in self._keys.items() if added > until}
            self._flush = self._flush if self._flush > until else 0
