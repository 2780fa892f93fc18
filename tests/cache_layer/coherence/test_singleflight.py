"""Many readers of one cold key: one load, and nobody gets what was out of date when they came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
from typing_extensions import override

from cache_layer import (
    Cache,
    CacheConfig,
    Catalogue,
    Cause,
    Count,
    Key,
    LoadResult,
    WaitedTooLong,
    open_cache,
)
from cache_layer.backends.base import ANY_AGE, Backend, Lookup
from cache_layer.coherence.singleflight import LoadRequest
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.faithful import Faithful
from tests.cache_layer.truth import Gate, Truth
from tests.waiting import WAIT_LIMIT_S, eventually

READERS = 64
WAIT_S = WAIT_LIMIT_S


@pytest.fixture
def gate(truth: Truth) -> Gate:
    gate = Gate()
    truth.before_answering = gate
    return gate


def read(cache: Cache, truth: Truth, exam_id: str = "1", wait_s: float = WAIT_S) -> object:
    return cache.reader.read(truth.exam, truth.key(exam_id), "", wait_s=wait_s).value


def read_ranked(cache: Cache, truth: Truth, rank: int) -> object:
    key = truth.key("1")
    reads = cache.reader.read_many(truth.exam, [key], "", wait_s=WAIT_S, rank=rank)
    return reads.found[key]


def lease_of(cache: Cache, truth: Truth, exam_id: str) -> str:
    """What another process of this release takes to load an exam for a reader."""
    version = cache.guarded_store.version_of(truth.exam)
    return LoadRequest(truth.exam, version, "", ANY_AGE, rank=0).lease_of(truth.key(exam_id))


def joined(cache: Cache, number: int) -> Callable[[], bool]:
    return lambda: cache.counters.snapshot().total(Count.SHARED_LOADS) >= number


def at_once(work: Callable[[], object]) -> list[Future[object]]:
    barrier = threading.Barrier(READERS)

    def run() -> object:
        barrier.wait(WAIT_LIMIT_S)
        return work()

    with ThreadPoolExecutor(READERS) as pool:
        return [pool.submit(run) for _ in range(READERS)]


def test_64_readers_of_one_cold_key_make_one_load(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": "one"}

    futures = at_once(lambda: read(cache, truth))

    assert [future.result() for future in futures] == ["one"] * READERS
    assert truth.loads == [["1"]]


class Overtaken(Faithful):
    """Runs something once between a reader's look and what it does next."""

    meanwhile: Callable[[], object] | None = None

    @override
    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        found = super().look_up(keys, touch=touch)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found


def test_who_looked_just_before_a_load_landed_does_not_load_again(
    backend: Backend, truth: Truth
) -> None:
    overtaken = Overtaken(backend)
    cache = open_cache(truth.catalogue, CacheConfig(), backend=overtaken)
    truth.exams = {"1": "one"}
    overtaken.meanwhile = lambda: read(cache, truth)

    assert read(cache, truth) == "one"
    assert len(truth.loads) == 1
    cache.close()


def test_a_failing_load_fails_all_who_wait_once_and_the_next_tries_again(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "one"}
    truth.failing = ConnectionError("cut")
    with ThreadPoolExecutor(READERS) as pool:
        futures = [pool.submit(read, cache, truth) for _ in range(READERS)]
        eventually(joined(cache, READERS - 1))
        gate.open()

    assert {type(future.exception()) for future in futures} == {ConnectionError}
    assert len(truth.loads) == 1
    truth.failing = None
    assert read(cache, truth) == "one"


def test_a_load_that_hangs_holds_up_nobody_else(cache: Cache, truth: Truth, gate: Gate) -> None:
    truth.exams = {"1": "one", "2": "two"}
    with ThreadPoolExecutor(4) as pool:
        impatient = [pool.submit(read, cache, truth, wait_s=0.01) for _ in range(3)]
        assert {type(future.exception()) for future in impatient} == {WaitedTooLong}
        gate.wait_until_reached()
        truth.before_answering = lambda: None

        assert read(cache, truth, "2") == "two"
        patient = pool.submit(read, cache, truth)
        gate.open()

        assert patient.result() == "one"
    assert truth.loads == [["1"], ["2"]]


def test_who_gives_up_takes_nobody_else_down(cache: Cache, truth: Truth, gate: Gate) -> None:
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read, cache, truth, wait_s=0.01)
        gate.wait_until_reached()
        second = pool.submit(read, cache, truth)
        eventually(joined(cache, 1))
        assert isinstance(first.exception(), WaitedTooLong)
        gate.open()

        assert second.result() == "one"
    assert read(cache, truth) == "one"
    assert len(truth.loads) == 1


def test_nobody_joins_a_flight_that_was_out_of_date_when_they_came(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "old"}
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(read, cache, truth)
        gate.wait_until_reached()
        truth.exams = {"1": "new"}
        cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)
        late = pool.submit(read, cache, truth)
        eventually(joined(cache, 1))
        truth.before_answering = lambda: None
        gate.open()

        assert early.result() == "old"
        assert late.result() == "new"
    assert read(cache, truth) == "new"
    assert len(truth.loads) == 2


def test_an_absence_is_not_shared_with_who_came_after_it_ended(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(read, cache, truth)
        gate.wait_until_reached()
        truth.exams = {"1": "made since"}
        cache.invalidator.invalidate_tags(["exams/all"], cause=Cause.WEBHOOK)
        late = pool.submit(read, cache, truth)
        eventually(joined(cache, 1))
        truth.before_answering = lambda: None
        gate.open()

        assert late.result() == "made since"


def test_an_invalidation_of_something_else_lets_the_flight_be_shared(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(2) as pool:
        pool.submit(read, cache, truth)
        gate.wait_until_reached()
        cache.invalidator.invalidate_tags(["exam:2"], cause=Cause.WEBHOOK)
        late = pool.submit(read, cache, truth)
        eventually(joined(cache, 1))
        gate.open()

        assert late.result() == "one"
    assert len(truth.loads) == 1


def test_a_bulk_read_loads_its_own_misses_and_joins_the_rest(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "one", "2": "two", "3": "three"}
    with ThreadPoolExecutor(2) as pool:
        pool.submit(read, cache, truth)
        gate.wait_until_reached()
        keys = truth.keys("1", "2", "3")
        bulk = pool.submit(cache.reader.read_many, truth.exam, keys, "", wait_s=WAIT_S)
        eventually(lambda: len(truth.loads) == 2)
        gate.open()

        assert set(bulk.result().found.values()) == {"one", "two", "three"}
    assert truth.loads == [["1"], ["2", "3"]]


def test_with_every_loader_thread_busy_a_read_still_loads(
    backend: Backend, truth: Truth, gate: Gate
) -> None:
    cache = open_cache(truth.catalogue, CacheConfig(loader_threads=1), backend=backend)
    truth.exams = {"1": "one", "2": "two"}
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(read, cache, truth)
        gate.wait_until_reached()
        truth.before_answering = lambda: None

        assert read(cache, truth, "2") == "two"
        gate.open()
        assert hanging.result() == "one"
    cache.close()


@pytest.mark.redis
def test_two_processes_make_one_load(make_redis: MakeRedis, truth: Truth, gate: Gate) -> None:
    one, other = (
        open_cache(truth.catalogue, CacheConfig(), backend=make_redis()) for _ in range(2)
    )
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read, one, truth)
        gate.wait_until_reached()
        second = pool.submit(read, other, truth)
        eventually(lambda: other.counters.snapshot().total(Count.MISSES) == 1)
        gate.open()

        assert (first.result(), second.result()) == ("one", "one")
    assert len(truth.loads) == 1
    one.close()
    other.close()


@pytest.mark.redis
def test_a_process_that_died_while_loading_blocks_nobody(
    make_redis: MakeRedis, truth: Truth
) -> None:
    backend = make_redis(lease_s=0.05)
    cache = open_cache(truth.catalogue, CacheConfig(), backend=backend)
    truth.exams = {"1": "one"}
    backend.claim_leases([lease_of(cache, truth, "1")], "the dead")

    assert read(cache, truth) == "one"
    cache.close()


@pytest.mark.redis
def test_another_process_is_waited_for_no_longer_than_a_lease_lives(
    make_redis: MakeRedis, truth: Truth
) -> None:
    """However long the backend says that the load is somebody's."""
    backend = make_redis(lease_s=3_600)
    cache = open_cache(truth.catalogue, CacheConfig(load_lease_s=0.05), backend=backend)
    truth.exams = {"1": "one"}
    backend.claim_leases([lease_of(cache, truth, "1")], "one load after the other")

    assert read(cache, truth) == "one"
    cache.close()


@pytest.mark.redis
def test_what_one_load_brought_is_no_newer_for_being_brought_again(
    make_redis: MakeRedis, truth: Truth, gate: Gate
) -> None:
    """A flight of two: one exam is loaded and refused as out of date, and while the other waits for
    another process, somebody joins. Then that one's load brings both anew."""

    def load_all(_: Sequence[Key], context: str) -> LoadResult[object]:
        return truth.exam.load_many(truth.keys(*truth.exams), context)

    family = replace(truth.exam, load_many=load_all)
    backend = make_redis(lease_s=3_600)
    cache = open_cache(Catalogue([family]), CacheConfig(), backend=backend)

    def read_both() -> list[object]:
        keys = truth.keys("1", "2")
        found = cache.reader.read_many(family, keys, "", wait_s=WAIT_S).found
        return [found[key] for key in keys]

    lease = lease_of(cache, truth, "1")
    backend.claim_leases([lease], "another process")
    truth.exams = {"1": "old", "2": "old"}
    with ThreadPoolExecutor(2) as pool:
        pool.submit(read_both)
        gate.wait_until_reached()
        truth.exams = {"1": "new", "2": "new"}
        cache.invalidator.invalidate_tags(["exam:1", "exam:2"], cause=Cause.WEBHOOK)
        late = pool.submit(read_both)
        eventually(joined(cache, 2))
        truth.before_answering = lambda: None
        gate.open()
        backend.release_leases([lease], "another process")

        assert late.result() == ["new", "new"]
    cache.close()


def test_nobody_waits_for_a_load_that_goes_after_their_own(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(1) as pool:
        held_up = pool.submit(read_ranked, cache, truth, 2)
        gate.wait_until_reached()
        truth.before_answering = lambda: None

        assert read_ranked(cache, truth, 1) == "one"
        gate.open()
        assert held_up.result() == "one"
    assert truth.loads == [["1"], ["1"]]


def test_a_load_that_goes_before_their_own_is_joined(
    cache: Cache, truth: Truth, gate: Gate
) -> None:
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read_ranked, cache, truth, 1)
        gate.wait_until_reached()
        later = pool.submit(read_ranked, cache, truth, 2)
        eventually(joined(cache, 1))
        gate.open()

        assert (first.result(), later.result()) == ("one", "one")
    assert truth.loads == [["1"]]


@pytest.mark.redis
def test_nobody_waits_for_a_load_of_another_process_that_goes_after_their_own(
    make_redis: MakeRedis, truth: Truth, gate: Gate
) -> None:
    patient = CacheConfig(load_lease_s=WAIT_S)
    one, other = (open_cache(truth.catalogue, patient, backend=make_redis()) for _ in range(2))
    truth.exams = {"1": "one"}
    with ThreadPoolExecutor(1) as pool:
        held_up = pool.submit(read_ranked, one, truth, 2)
        gate.wait_until_reached()
        truth.before_answering = lambda: None

        assert read_ranked(other, truth, 1) == "one"
        gate.open()
        assert held_up.result() == "one"
