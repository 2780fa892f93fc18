"""Redis killed and started again: no failed read, no stale answer, no forgotten invalidation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from redis import Redis

from cache_layer import Cache, CacheConfig, CacheStatus, Cause, Count, open_cache
from cache_layer.backends.base import Refusal
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import entry, payload_at, put
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S, eventually

pytestmark = pytest.mark.redis


@pytest.fixture
def caches(own_redis: OwnRedis, truth: Truth) -> Iterator[tuple[Cache, Cache]]:
    """Two processes' caches over one Redis."""
    config = CacheConfig(redis_url=own_redis.url, retry_s=0.02, key_secrets=("a",))
    made = open_cache(truth.catalogue, config), open_cache(truth.catalogue, config)
    yield made
    for cache in made:
        cache.close()


def test_a_restart_from_an_old_snapshot_serves_nothing_of_it(
    own_redis: OwnRedis, caches: tuple[Cache, Cache]
) -> None:
    backend = caches[0].backend
    put(backend, "k", b"old", tags=["exam:9"])
    ticket = backend.look_up(()).ticket
    with Redis.from_url(own_redis.url) as client:
        client.save()
    backend.invalidate(["exam:9"], [])
    own_redis.kill()
    own_redis.start()

    assert payload_at(caches[1].backend, "k") is None
    assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.LOST}
    put(backend, "k", b"new")


def test_a_reconnection_to_the_same_redis_keeps_its_entries(
    own_redis: OwnRedis, caches: tuple[Cache, Cache]
) -> None:
    put(caches[0].backend, "k")
    with Redis.from_url(own_redis.url) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    assert payload_at(caches[0].backend, "k") == b"v"
    assert payload_at(caches[1].backend, "k") == b"v"


@dataclass
class Watch:
    """The versions that readers may no longer fall behind, and what went wrong if they did."""

    promised_here: int = 0
    promised_everywhere: int = 0
    faults: list[object] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, cache: Cache, truth: Truth, promise: str) -> None:
        while not self.stop.is_set():
            at_least: int = getattr(self, promise)
            try:
                read = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_LIMIT_S)
            except Exception as error:  # noqa: BLE001 - reported by the test
                self.faults.append(error)
            else:
                if not isinstance(read.value, int) or read.value < at_least:
                    self.faults.append((promise, at_least, read))

    def edit(self, cache: Cache, truth: Truth) -> None:
        version = 0
        while not self.stop.wait(0.001):
            version += 1
            truth.exams = {"1": version}
            cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)
            self.promised_here = version
            if cache.guarded_store.all_delivered:
                self.promised_everywhere = version


def test_redis_killed_under_load_fails_no_read_and_forgets_no_invalidation(
    own_redis: OwnRedis, caches: tuple[Cache, Cache], truth: Truth
) -> None:
    here, there = caches
    truth.exams = {"1": 0}
    watch = Watch()
    work = [threading.Thread(target=watch.edit, args=(here, truth))]
    for cache, promise in ((here, "promised_here"), (there, "promised_everywhere")):
        work += [
            threading.Thread(target=watch.read, args=(cache, truth, promise)) for _ in range(2)
        ]

    def hits() -> int:
        return min(cache.counters.snapshot().total(Count.HITS) for cache in caches)

    def bypasses() -> int:
        return min(cache.counters.snapshot().total(Count.BYPASSES) for cache in caches)

    for thread in work:
        thread.start()
    try:
        for _ in range(2):
            before = hits()
            eventually(lambda: hits() > before + 20)  # noqa: B023 - waited for at once
            own_redis.kill()
            before = bypasses()
            eventually(lambda: bypasses() > before + 20)  # noqa: B023 - waited for at once
            own_redis.start()
    finally:
        watch.stop.set()
        for thread in work:
            thread.join()

    assert watch.faults == []
    eventually(lambda: _hit(here, truth))
    eventually(lambda: _hit(there, truth))


def _hit(cache: Cache, truth: Truth) -> bool:
    read = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_LIMIT_S)
    assert read.value == truth.exams["1"]
    return read.cache_status is CacheStatus.HIT
