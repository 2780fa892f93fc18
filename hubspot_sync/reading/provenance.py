"""What an answer was built from: its tags, what the cache did for it, and how old its parts are."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from cache_layer import CacheStatus, ReadManyResult
from hubspot_sync.wire.deadlines import Monotonic


@dataclass(slots=True)
class Provenance:
    """What an answer was built from so far; safe to share between threads. `clock` counts seconds
    and never goes back: what an answer is built from grows older while the rest is read."""

    clock: Monotonic = time.monotonic
    tags: set[str] = field(default_factory=set)
    cache_statuses: set[CacheStatus] = field(default_factory=set)
    _born: list[tuple[float, float]] = field(default_factory=list)
    _until_s: float = math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, ttl_s: float, reads: ReadManyResult[Any], began_s: float) -> None:
        """Add what a read brought that began at `began_s` on the clock."""
        with self._lock:
            self.tags |= reads.tags
            self.cache_statuses.add(reads.cache_status)
            self._born.append((ttl_s, began_s - reads.age_s))
            self._until_s = min(self._until_s, began_s + reads.keep_s)

    def keep_s(self, ttl_s: float) -> float:
        """Return how long an entry of `ttl_s` built from all this may be kept, in seconds: no part
        of it is served when older than the longer of `ttl_s` and its own time to live, or than it
        may be kept itself."""
        now_s = self.clock()
        with self._lock:
            by_age = (max(own, ttl_s) - (now_s - at_s) for own, at_s in self._born)
            return min(self._until_s - now_s, min(by_age, default=ttl_s))

    @property
    def cache_status(self) -> CacheStatus:
        """What the cache did for all the reads together: a hit only if all were."""
        for worst in (CacheStatus.OFF, CacheStatus.BYPASS, CacheStatus.MISS):
            if worst in self.cache_statuses:
                return worst
        return CacheStatus.HIT
