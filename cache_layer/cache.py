"""One cache, put together: made once per process from its catalogue and configuration.

The parts are public; each is used through its own methods: `reader` for reads, `guarded_store` for
write-throughs, `invalidator` for removing entries on purpose, `freshness` for who
follows the change feed, `counters` for the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cache_layer.backends.base import Backend
from cache_layer.backends.locmem import LocMemBackend
from cache_layer.coherence.freshness import Freshness
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.coherence.invalidation import Invalidator
from cache_layer.coherence.reading import Reader
from cache_layer.coherence.singleflight import SingleFlight
from cache_layer.coherence.undelivered import UndeliveredParts
from cache_layer.config import CacheConfig
from cache_layer.counters import Count, Counters
from cache_layer.endings import Endings
from cache_layer.entries.entries import HeldEntry, Miss, Stamp
from cache_layer.entries.families import Catalogue
from cache_layer.entries.keys import Key
from cache_layer.errors import BackendUnavailable, BadPattern

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """All parts of one cache, sharing one backend and one set of counters."""

    config: CacheConfig
    catalogue: Catalogue
    backend: Backend
    counters: Counters
    endings: Endings
    guarded_store: GuardedStore
    single_flight: SingleFlight
    reader: Reader
    invalidator: Invalidator
    freshness: Freshness

    def peek(self, text: str) -> HeldEntry | Miss:
        """Return the entry under a key's text without marking it as used, or MISS. Raises
        BadPattern for a text that is no key of any family, and BackendUnavailable."""
        known = self.catalogue.parse_key(text)
        if known is None:
            raise BadPattern(f"{text!r} is no key of any family.")
        _, key = known
        return self.guarded_store.peek(key)

    def holds(self, stamps: Mapping[Key, Stamp], subject: str | None) -> bool:
        """Return whether the very entries with these stamps are still held and may be read for
        `subject`: then what was made of their values alone is still what would be made of them.
        They count as read where that is so, and as used; nothing is raised."""
        if self.reader.prepare_or_bypass(subject) is not None:
            return False
        try:
            found = self.guarded_store.look_up(list(stamps))
        except BackendUnavailable:
            return False  # counted and logged where it happened
        hits: dict[str, int] = {}
        outlived: dict[str, int] = {}
        loaded_ahead: dict[str, int] = {}
        entries, generation = found.entries, found.ticket.generation
        for key, stamp in stamps.items():
            held = entries.get(key.text)
            if held is None or (generation, held.stamp) != stamp:
                return False
            family = held.entry.family
            hits[family] = hits.get(family, 0) + 1
            if held.proven and held.ttl_left_s <= 0:
                outlived[family] = outlived.get(family, 0) + 1
            if held.entry.ahead:
                loaded_ahead[family] = loaded_ahead.get(family, 0) + 1
        self.counters.add_all(
            {Count.HITS: hits, Count.PROVEN_HITS: outlived, Count.AHEAD_HITS: loaded_ahead}
        )
        return True

    def start(self) -> None:
        """Begin what goes on in the background, so that the first reader need not."""
        self.guarded_store.delivery.start()

    def close(self) -> None:
        """Let running loads end, then let go of threads and connections."""
        self.single_flight.close()
        self.guarded_store.delivery.close()
        self.backend.close()


def open_backend(config: CacheConfig, clock: Clock = time.monotonic) -> Backend:
    """Return the backend a configuration names; nothing is connected yet."""
    if not config.redis_url:
        return LocMemBackend(
            max_entries=config.max_entries,
            max_bytes=config.max_bytes,
            load_horizon_s=config.load_horizon_s,
            settle_s=config.settle_s,
            clock=clock,
        )
    # Here, so that a process without Redis does not import its client.
    from cache_layer.backends.redis import RedisBackend

    return RedisBackend(
        config.redis_url,
        prefix=config.key_prefix,
        max_entries=config.max_entries,
        max_bytes=config.max_bytes,
        load_horizon_s=config.load_horizon_s,
        settle_s=config.settle_s,
        ttl_confirmed_s=config.ttl_confirmed_s,
        lease_s=config.load_lease_s,
        timeout_s=config.redis_timeout_s,
    )


def open_cache(
    catalogue: Catalogue,
    config: CacheConfig,
    *,
    backend: Backend | None = None,
    counters: Counters | None = None,
    clock: Clock = time.monotonic,
    undelivered: UndeliveredParts | None = None,
) -> Cache:
    """Return a cache over this catalogue. Threads and connections start at first use.

    Where processes share the backend, `undelivered` is what they tell each other by while one of
    them cannot reach it; without, an invalidation that does not reach it is seen by others late."""
    backend = backend if backend is not None else open_backend(config, clock)
    counters = counters if counters is not None else Counters()
    endings = Endings()
    backend.observe_endings(endings.note)
    guarded_store = GuardedStore(
        backend=backend,
        catalogue=catalogue,
        config=config,
        counters=counters,
        clock=clock,
        undelivered=undelivered,
    )
    single_flight = SingleFlight(
        guarded_store=guarded_store,
        counters=counters,
        threads=config.loader_threads,
        lease_s=config.load_lease_s,
        ahead_rank=config.ahead_rank,
    )
    return Cache(
        config=config,
        catalogue=catalogue,
        backend=backend,
        counters=counters,
        endings=endings,
        guarded_store=guarded_store,
        single_flight=single_flight,
        reader=Reader(
            guarded_store=guarded_store,
            single_flight=single_flight,
            config=config,
            counters=counters,
            endings=endings,
            clock=clock,
        ),
        invalidator=Invalidator(guarded_store=guarded_store, catalogue=catalogue),
        freshness=Freshness(guarded_store=guarded_store, catalogue=catalogue, config=config),
    )
