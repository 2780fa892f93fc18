"""What an answer was built from: its tags, what the cache did for it, and how old its parts are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cache_layer import CacheStatus, Key, LoadedValue, ReadManyResult, Stamp
from cache_layer.entries.entries import join_epochs
from hubspot_sync.wire.deadlines import Monotonic

V = TypeVar("V")


@dataclass(slots=True)
class Provenance:
    """What an answer was built from so far; safe to share between threads. `clock` counts seconds
    and never goes back: what an answer is built from grows older while the rest is read. For
    `epoch`, `needs_proof` and `unproven_s` see `ReadManyResult`."""

    clock: Monotonic = time.monotonic
    tags: set[str] = field(default_factory=set)
    cache_statuses: set[CacheStatus] = field(default_factory=set)
    _born: list[tuple[float, float]] = field(default_factory=list)
    _ttl_until_s: float = math.inf
    _keep_until_s: float = math.inf
    epoch: str | None = None
    needs_proof: bool = False
    unproven_s: float = 0.0
    _stamps: dict[Key, Stamp] = field(default_factory=dict)
    _changed_meanwhile: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, ttl_s: float, reads: ReadManyResult[Any], began_s: float) -> None:
        """Add what a read brought that began at `began_s` on the clock."""
        with self._lock:
            self.tags |= reads.tags
            self.cache_statuses.add(reads.cache_status)
            self._born.append((ttl_s, began_s - reads.age_s))
            self._ttl_until_s = min(self._ttl_until_s, began_s + reads.ttl_left_s)
            self._keep_until_s = min(self._keep_until_s, began_s + reads.keep_s)
            self.epoch = join_epochs(self.epoch, reads.epoch)
            self.needs_proof = self.needs_proof or reads.needs_proof
            self.unproven_s = max(self.unproven_s, reads.unproven_s)
            for key, stamp in reads.stamps.items():
                if self._stamps.setdefault(key, stamp) != stamp:
                    self._changed_meanwhile = True

    def ttl_left_s(self, ttl_s: float) -> float:
        """Return the time to live of an entry of `ttl_s` built from all this, in seconds: without
        proof no part of it is served when older than the longer of `ttl_s` and its own time to
        live, or than that of the entry it comes from. Not above 0, it lives by proof alone."""
        now_s = self.clock()
        with self._lock:
            by_age = (max(own, ttl_s) - (now_s - at_s) for own, at_s in self._born)
            return min(self._ttl_until_s - now_s, min(by_age, default=ttl_s))

    def keep_s(self) -> float:
        """Return how long what is built from all this may be kept at most, in seconds, whatever
        proves it fresh."""
        with self._lock:
            return self._keep_until_s - self.clock()

    def build(self, value: V, ttl_s: float, keep_s: float = math.inf) -> LoadedValue[V]:
        """Return a value built from all this, for an entry of `ttl_s` that may be kept for `keep_s`
        at most."""
        return LoadedValue(
            value,
            frozenset(self.tags),
            keep_s=min(keep_s, self.keep_s()),
            ttl_s=self.ttl_left_s(ttl_s),
            epoch=self.epoch,
        )

    def held_stamps(self) -> Mapping[Key, Stamp] | None:
        """Return the stamps of the entries that this was built from; None where a part of it was
        not held, or an entry was replaced between two looks at it."""
        with self._lock:
            all_held = self.cache_statuses == {CacheStatus.HIT}
            return dict(self._stamps) if all_held and not self._changed_meanwhile else None

    def may_be_proven(self, settle_s: float) -> bool:
        """Say whether the whole is without proof, which some part was accepted for, only because
        another was read within `settle_s` after a change of it, and may be read again by now."""
        return self.needs_proof and self.epoch == "" and self.unproven_s > settle_s

    @property
    def cache_status(self) -> CacheStatus:
        """What the cache did for all the reads together: a hit only if all were."""
        for worst in (CacheStatus.OFF, CacheStatus.BYPASS, CacheStatus.MISS):
            if worst in self.cache_statuses:
                return worst
        return CacheStatus.HIT
