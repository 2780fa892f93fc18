"""Who follows the change feed: epochs, what is confirmed in them, and who may say so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from cache_layer import (
    BackendUnavailable,
    BadPattern,
    Cache,
    CacheConfig,
    Catalogue,
    Cause,
    LoadedValue,
    TermPassed,
    open_cache,
)
from cache_layer.backends.base import Backend, Refusal
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.faithful import Breakable
from tests.cache_layer.support import payload_at, put
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S


@pytest.fixture
def breakable(backend: Backend) -> Breakable:
    return Breakable(backend)


@pytest.fixture
def cut_cache(breakable: Breakable, truth: Truth) -> Iterator[Cache]:
    """A cache whose backend can be cut off."""
    made = open_cache(truth.catalogue, CacheConfig(retry_s=0.01), backend=breakable)
    yield made
    made.close()


def test_before_an_epoch_nothing_is_proven(cache: Cache) -> None:
    report = cache.freshness.describe()

    assert (report.epoch, report.covered, report.confirmed_s_ago) == ("", frozenset(), None)
    assert not report.proven
    assert not cache.freshness.confirm("", cache.freshness.read_clock(), term=1)


def test_an_epoch_is_proven_once_it_is_confirmed(cache: Cache) -> None:
    epoch = cache.freshness.begin_epoch(["exam"], term=7)
    begun = cache.freshness.describe()

    assert cache.freshness.confirm(epoch, cache.freshness.read_clock(), term=7)
    confirmed = cache.freshness.describe()
    assert (begun.epoch, begun.covered, begun.term) == (epoch, {"exam"}, 7)
    assert (begun.proven, begun.confirmed_s_ago) == (False, None)
    assert confirmed.proven
    assert confirmed.confirmed_s_ago is not None
    assert 0 <= confirmed.confirmed_s_ago < 30


def test_an_epoch_drops_everything_and_refuses_what_is_being_loaded(
    cache: Cache, backend: Backend
) -> None:
    put(backend, "exam:1")
    ticket = backend.look_up(()).ticket

    cache.freshness.begin_epoch(["exam"], term=1)

    assert payload_at(backend, "exam:1") is None
    family = next(iter(cache.catalogue))
    loaded = {family.key(id="1"): LoadedValue(1, frozenset())}
    refused = cache.guarded_store.store(ticket, family, loaded).refused
    assert refused == {"exam:1": Refusal.FLUSHED}


def test_an_epoch_covers_none_that_is_no_family(cache: Cache) -> None:
    with pytest.raises(BadPattern, match="no family 'examen'"):
        cache.freshness.begin_epoch(["examen"], term=1)


def test_what_cannot_be_loaded_anew_is_never_covered(backend: Backend, truth: Truth) -> None:
    catalogue = Catalogue([truth.exam, replace(truth.page, reloadable=False)])
    cache = open_cache(catalogue, CacheConfig(), backend=backend)

    cache.freshness.begin_epoch(["exam", "page"], term=1)

    assert cache.freshness.describe().covered == {"exam"}


def test_of_an_epoch_before_nothing_stays(cache: Cache) -> None:
    first = cache.freshness.begin_epoch(["exam", "page"], term=1)
    assert cache.freshness.confirm(first, cache.freshness.read_clock(), term=1)

    second = cache.freshness.begin_epoch(["page"], term=1)

    report = cache.freshness.describe()
    assert second != first
    assert (report.epoch, report.covered, report.proven) == (second, {"page"}, False)
    assert not cache.freshness.confirm(first, cache.freshness.read_clock(), term=1)
    assert cache.freshness.confirm(second, cache.freshness.read_clock(), term=1)


def test_what_is_confirmed_moves_forward_and_not_into_what_is_to_come(cache: Cache) -> None:
    freshness = cache.freshness
    epoch = freshness.begin_epoch(["exam"], term=1)
    now_ms = freshness.read_clock()

    assert not freshness.confirm(epoch, now_ms + 3_600_000, term=1)
    assert freshness.confirm(epoch, now_ms, term=1)
    assert not freshness.confirm(epoch, now_ms - 1, term=1)
    assert freshness.confirm(epoch, now_ms, term=1)


def test_an_instant_from_before_the_epoch_confirms_nothing_past_the_silence(cache: Cache) -> None:
    epoch = cache.freshness.begin_epoch(["exam"], term=1)

    assert cache.freshness.confirm(epoch, cache.freshness.read_clock() - 31_000, term=1)

    assert not cache.freshness.describe().proven


def test_whoever_lost_the_lease_changes_nothing(cache: Cache) -> None:
    freshness = cache.freshness
    lost = freshness.begin_epoch(["exam"], term=1)
    epoch = freshness.begin_epoch(["exam"], term=2)

    assert not freshness.confirm(lost, freshness.read_clock(), term=1)
    assert not freshness.confirm(epoch, freshness.read_clock(), term=1)
    assert not freshness.end_proof(term=1)
    with pytest.raises(TermPassed):
        freshness.begin_epoch(["exam"], term=1)
    assert freshness.describe().epoch == epoch
    assert freshness.confirm(epoch, freshness.read_clock(), term=3)
    assert not freshness.confirm(epoch, freshness.read_clock(), term=2)


def test_the_proof_ends_and_stays_ended(cache: Cache) -> None:
    freshness = cache.freshness
    epoch = freshness.begin_epoch(["exam"], term=4)
    freshness.confirm(epoch, freshness.read_clock(), term=4)

    assert freshness.end_proof()

    report = freshness.describe()
    assert (report.epoch, report.covered, report.proven) == ("", frozenset(), False)
    assert not freshness.confirm(epoch, freshness.read_clock(), term=4)
    with pytest.raises(TermPassed):
        freshness.begin_epoch(["exam"], term=3)


@pytest.mark.redis
def test_an_epoch_ends_with_the_generation(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, truth: Truth
) -> None:
    freshness = open_cache(truth.catalogue, CacheConfig(), backend=make_redis()).freshness
    epoch = freshness.begin_epoch(["exam"], term=1)
    Redis.from_url(redis_url).delete(f"{{{redis_prefix}}}:state")

    assert freshness.describe().epoch == ""
    assert not freshness.confirm(epoch, freshness.read_clock(), term=1)


def test_nothing_is_confirmed_while_an_invalidation_is_on_its_way(
    cut_cache: Cache, breakable: Breakable
) -> None:
    freshness = cut_cache.freshness
    epoch = freshness.begin_epoch(["exam"], term=1)
    breakable.cut_off = True
    cut_cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.FEED)
    breakable.cut_off = False

    assert not freshness.confirm(epoch, freshness.read_clock(), term=1)
    assert cut_cache.guarded_store.delivery.prepare_read()
    assert freshness.confirm(epoch, freshness.read_clock(), term=1)


def test_an_epoch_that_could_not_drop_everything_does_not_begin(
    cut_cache: Cache, breakable: Breakable
) -> None:
    epoch = cut_cache.freshness.begin_epoch(["exam"], term=1)
    breakable.cut_off = True

    with pytest.raises(BackendUnavailable):
        cut_cache.freshness.begin_epoch(["exam"], term=1)

    breakable.cut_off = False
    assert cut_cache.freshness.describe().epoch == ""
    assert not cut_cache.freshness.confirm(epoch, cut_cache.freshness.read_clock(), term=1)


def test_of_many_that_begin_at_once_one_epoch_stays(cache: Cache) -> None:
    barrier = threading.Barrier(4)
    begun: dict[int, str] = {}
    passed: list[int] = []

    def begin(term: int) -> None:
        barrier.wait(WAIT_LIMIT_S)
        try:
            begun[term] = cache.freshness.begin_epoch(["exam"], term=term)
        except TermPassed:
            passed.append(term)

    threads = [threading.Thread(target=begin, args=(term,)) for term in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_LIMIT_S)

    assert sorted([*begun, *passed]) == [1, 2, 3, 4]
    assert cache.freshness.describe().epoch == begun[4]
    assert cache.freshness.describe().term == 4
