"""The bound in bytes is one in memory: what Python and Redis themselves say they use."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from cache_layer.backends.base import Backend, Refusal
from cache_layer.entries.entries import Entry
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import entry, payload_at, put

MIB = 1024 * 1024
BOUND = 6 * MIB
MANY = 100_000  # more entries than the bytes allow
TOLERANCE = 1.3
SHARED = [f"booking:{number}" for number in range(1_000)]


def small(number: int) -> Entry:
    return entry(b"v" * 60, tags=[f"contact:{number}"])


def bare(number: int) -> Entry:
    return entry(b"%d" % number)


def with_own_tags(number: int) -> Entry:
    return entry(b"v" * 60, tags=[f"contact:{number}/{tag}" for tag in range(20)])


def with_shared_tags(number: int) -> Entry:
    return entry(b"v" * 2_000, tags=[(tag + "!")[:-1] for tag in SHARED])


def large(number: int) -> Entry:
    return entry(b"%d" % number * 9_000)


KINDS = [small, bare, with_own_tags, with_shared_tags, large]
KindOfEntry = Callable[[int], Entry]


def overfill(backend: Backend, make_entry: KindOfEntry) -> None:
    """Store more than there is room for, replacing some again and again."""
    number, evicted = 0, 0
    while evicted < 200:
        keys = {f"contact:{number + i}:details": make_entry(number + i) for i in range(20)}
        again = {"again:1": make_entry(1), "again:2": make_entry(2)}
        stored = backend.store(backend.look_up(()).ticket, keys | again)
        assert stored.refused == {}
        evicted += sum(stored.evicted_for_bytes.values())
        number += 20


@pytest.mark.sampled
@pytest.mark.parametrize("make_entry", KINDS)
def test_a_full_cache_in_memory_takes_what_it_may(
    make_entry: KindOfEntry, make_locmem: MakeLocMem
) -> None:
    tracemalloc.start()
    try:
        backend = make_locmem(max_entries=MANY, max_bytes=BOUND)
        overfill(backend, make_entry)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used < TOLERANCE * BOUND
    assert 0.85 * BOUND < backend.size().used_bytes <= BOUND


@pytest.mark.sampled
@pytest.mark.redis
@pytest.mark.parametrize("make_entry", KINDS)
def test_a_full_cache_in_redis_takes_what_it_may(
    make_entry: KindOfEntry, make_redis: MakeRedis, own_redis: OwnRedis
) -> None:
    backend = make_redis(max_entries=MANY, max_bytes=BOUND, url=own_redis.url)
    backend.invalidate(["contact:1"], [])
    before = used_memory(own_redis)

    overfill(backend, make_entry)

    assert used_memory(own_redis) - before < TOLERANCE * BOUND
    assert 0.85 * BOUND < backend.size().used_bytes <= BOUND


def used_memory(own_redis: OwnRedis) -> int:
    with Redis.from_url(own_redis.url) as client:
        return int(client.info("memory")["used_memory"])


@pytest.mark.parametrize("where", ["locmem", pytest.param("redis", marks=pytest.mark.redis)])
def test_a_flood_of_invalidations_takes_what_it_may(
    where: str, request: pytest.FixtureRequest
) -> None:
    backend: Backend = request.getfixturevalue(f"make_{where}")(max_bytes=MIB)
    own = backend.size().used_bytes
    for start in range(0, 20_000, 500):
        tags = [f"contact:{start + number}/bookings" for number in range(500)]
        backend.invalidate(tags, [])

    assert backend.size().used_bytes - own <= MIB / 8


@pytest.mark.redis
def test_processes_that_share_a_redis_share_the_bound(make_redis: MakeRedis) -> None:
    backends = [make_redis(max_bytes=MIB) for _ in range(3)]
    over: list[int] = []
    together = threading.Barrier(len(backends))

    def fill(number: int, backend: Backend) -> None:
        together.wait(timeout=30)
        for i in range(40):
            put(backend, f"{number}:{i}", b"x" * 20_000, tags=[f"t{i}"])
            over.extend(used for used in [backend.size().used_bytes] if used > MIB)

    threads = [threading.Thread(target=fill, args=each) for each in enumerate(backends)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert over == []
    assert backends[0].size().total_bytes > MIB / 2


@pytest.mark.redis
def test_a_lower_bound_is_reached_in_steps_and_nothing_is_added_before(
    make_redis: MakeRedis,
) -> None:
    generous, strict = make_redis(max_entries=5_000), make_redis(max_entries=1_000)
    ticket = generous.look_up(()).ticket
    for start in range(0, 5_000, 500):
        generous.store(ticket, {f"k{start + number}": entry() for number in range(500)})

    outcomes = [strict.store(ticket, {"new": entry()}) for _ in range(4)]

    refusals = [stored.refused.get("new") for stored in outcomes]
    assert refusals == [Refusal.NO_ROOM, Refusal.NO_ROOM, Refusal.NO_ROOM, None]
    assert strict.size().total_entries == 1_000


@pytest.fixture
def state(redis_url: str, redis_prefix: str) -> Iterator[tuple[Redis, str]]:
    """Redis as a hand reaches it, and the name of the hash with the account."""
    with Redis.from_url(redis_url) as client:
        yield client, f"{{{redis_prefix}}}:state"


@pytest.mark.redis
def test_entries_of_the_release_before_have_no_account_and_go(
    make_redis: MakeRedis, state: tuple[Redis, str]
) -> None:
    backend = make_redis()
    put(backend, "k")
    ticket = backend.look_up(()).ticket
    client, name = state
    client.hdel(name, "accounted", "cost")

    assert payload_at(backend, "k") is None
    assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.LOST}
    put(backend, "k")
    assert backend.size().used_bytes > 0


@pytest.mark.redis
@pytest.mark.parametrize("astray", [MIB // 2, 10 * MIB])
def test_an_account_that_went_astray_begins_anew_with_an_empty_cache(
    astray: int, make_redis: MakeRedis, state: tuple[Redis, str]
) -> None:
    backend = make_redis(max_bytes=MIB)
    put(backend, "k")
    client, name = state
    client.hset(name, "cost", astray)
    put(backend, "l")
    backend.remove(["k", "l"])

    put(backend, "m")

    assert backend.size().used_bytes < 10_000
