"""Why a read was a miss, as the cache's own numbers say."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cache_layer import Cache, CacheConfig, Cause, Count, open_cache
from cache_layer.counters import Counted
from cache_layer.endings import MAX_REMEMBERED, Ended, Ending, Endings, MissReason
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.faithful import Breakable
from tests.cache_layer.support import Clock
from tests.cache_layer.truth import TTL_S, Truth
from tests.waiting import WAIT_LIMIT_S

WAIT_S = WAIT_LIMIT_S


@pytest.fixture
def cache(make_locmem: MakeLocMem, truth: Truth, clock: Clock) -> Cache:
    truth.exams = {"1": 1, "2": 2, "3": 3}
    backend = make_locmem(max_entries=2)
    return open_cache(truth.catalogue, CacheConfig(), backend=backend, clock=clock)


def read(cache: Cache, truth: Truth, *ids: str, max_age_s: float = TTL_S) -> None:
    keys = truth.keys(*ids)
    result = cache.reader.read_many(truth.exam, keys, "", wait_s=WAIT_S, max_age_s=max_age_s)
    assert len(result.found) + len(result.absent) + len(result.failed) == len(ids)


def reasons(cache: Cache) -> Mapping[str, int]:
    return cache.counters.snapshot().by_detail(Count.MISSES, "exam")


def test_what_was_never_held_is_cold(cache: Cache, truth: Truth) -> None:
    read(cache, truth, "1", "2")
    read(cache, truth, "1", "2")

    assert reasons(cache) == {MissReason.COLD: 2}


def test_what_grew_too_old_has_expired(cache: Cache, truth: Truth, clock: Clock) -> None:
    read(cache, truth, "1")
    clock.advance(TTL_S)
    read(cache, truth, "1")

    assert reasons(cache) == {MissReason.COLD: 1, Ended.EXPIRED: 1}


def test_what_was_changed_is_invalidated(cache: Cache, truth: Truth) -> None:
    read(cache, truth, "1")
    cache.invalidator.invalidate_tags({"exam:1"}, cause=Cause.WEBHOOK)
    read(cache, truth, "1")

    assert reasons(cache) == {MissReason.COLD: 1, Ended.INVALIDATED: 1}


def test_what_others_pushed_out_is_evicted(cache: Cache, truth: Truth) -> None:
    for exam_id in ("1", "2", "3", "1"):
        read(cache, truth, exam_id)

    assert reasons(cache) == {MissReason.COLD: 3, Ended.EVICTED: 1}


def test_the_latest_ending_counts(cache: Cache, truth: Truth, clock: Clock) -> None:
    read(cache, truth, "1")
    cache.invalidator.invalidate_tags({"exam:1"}, cause=Cause.WEBHOOK)
    read(cache, truth, "1")
    clock.advance(TTL_S)
    read(cache, truth, "1")

    assert reasons(cache) == {MissReason.COLD: 1, Ended.INVALIDATED: 1, Ended.EXPIRED: 1}


def test_what_is_too_old_for_its_reader_is_told_apart(
    cache: Cache, truth: Truth, clock: Clock
) -> None:
    read(cache, truth, "1")
    clock.advance(10)
    read(cache, truth, "1", max_age_s=5)

    assert reasons(cache) == {MissReason.COLD: 1, MissReason.TOO_OLD: 1}


def test_a_cache_that_does_not_answer_is_bypassed(
    make_locmem: MakeLocMem, truth: Truth, clock: Clock
) -> None:
    backend = Breakable(make_locmem())
    cache = open_cache(truth.catalogue, CacheConfig(), backend=backend, clock=clock)
    backend.cut_off = True

    read(cache, truth, "1")

    picture = cache.counters.snapshot()
    assert (picture.total(Count.BYPASSES, "exam"), picture.total(Count.MISSES)) == (1, 0)


def test_loads_are_counted_by_what_became_of_each_key(cache: Cache, truth: Truth) -> None:
    truth.unknown = {"2"}
    read(cache, truth, "1", "2", "none")
    truth.failing = ConnectionError("away")
    read(cache, truth, "3")

    loads = cache.counters.snapshot().by_detail(Count.LOADS, "exam")
    assert loads == {"loaded": 1, "absent": 1, "failed": 2}


def test_what_is_remembered_is_bounded() -> None:
    endings = Endings()
    for number in range(MAX_REMEMBERED + 1):
        endings.note([Ending(f"exam:{number}", "exam", Ended.EXPIRED, 1.0)])

    reasons = [endings.reason_of(f"exam:{number}") for number in range(MAX_REMEMBERED + 1)]
    assert reasons[0] is MissReason.COLD
    assert {*reasons[MAX_REMEMBERED // 2 + 1 :]} == {Ended.EXPIRED}


def test_whoever_observes_hears_all_that_is_counted(cache: Cache, truth: Truth) -> None:
    heard: dict[str, int] = {}

    def add(tallies: Counted) -> None:
        for tally, number in tallies:
            heard[str(tally)] = heard.get(str(tally), 0) + number

    cache.counters.observe(add)
    for _ in range(2):
        read(cache, truth, "1", "2")

    totals = cache.counters.snapshot().totals
    assert heard == {str(tally): number for tally, number in totals.items()}
