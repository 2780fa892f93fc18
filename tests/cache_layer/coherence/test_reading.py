"""Reading through the cache: hits, misses, bulk, absences, failures, bypasses."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cache_layer import (
    MISS,
    Cache,
    CacheConfig,
    CacheStatus,
    Cause,
    Count,
    Key,
    Stamp,
    open_cache,
)
from cache_layer.backends.base import Backend
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.support import Clock, overwrite
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

WAIT_S = WAIT_LIMIT_S


def test_the_second_read_is_a_hit_and_loads_nothing(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": {"capacity": 5}}

    first = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
    second = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)

    assert (first.value, first.cache_status) == ({"capacity": 5}, CacheStatus.MISS)
    assert (second.value, second.cache_status) == ({"capacity": 5}, CacheStatus.HIT)
    assert first.tags == second.tags == {"exam:1"}
    assert truth.loads == [["1"]]


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}], ids=repr)
def test_any_value_is_a_value(cache: Cache, truth: Truth, value: object) -> None:
    truth.exams = {"1": value}

    for _ in range(2):
        read = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
        assert read.value == value
        assert type(read.value) is type(value)
    assert len(truth.loads) == 1


def test_many_are_one_load_of_the_misses(cache: Cache, truth: Truth) -> None:
    truth.exams = {str(number): number for number in range(50)}
    cache.reader.read_many(truth.exam, truth.keys("3", "7"), "", wait_s=WAIT_S)

    reads = cache.reader.read_many(truth.exam, truth.keys(*truth.exams, "3"), "", wait_s=WAIT_S)

    assert {key.arguments["id"]: value for key, value in reads.found.items()} == truth.exams
    assert reads.cache_status is CacheStatus.MISS
    assert [len(load) for load in truth.loads] == [2, 48]
    picture = cache.counters.snapshot()
    assert picture.total(Count.HITS, "exam") == 2
    assert picture.total(Count.MISSES, "exam") == 50
    assert picture.total(Count.LOADS, "exam") == 50
    assert picture.total(Count.STORES, "exam") == 50


def test_many_are_told_to_observers_at_once(cache: Cache, truth: Truth) -> None:
    truth.exams = {str(number): number for number in range(50)}
    told: list[tuple[Count, int]] = []
    cache.counters.observe(
        lambda tallies: told.extend((tally.counted, number) for tally, number in tallies)
    )

    cache.reader.read_many(truth.exam, truth.keys(*truth.exams), "", wait_s=WAIT_S)

    once = {Count.MISSES: 50, Count.LOADS: 50, Count.STORES: 50}
    assert sorted(each for each in told if each[0] in once) == sorted(once.items())
    assert [count for count, _ in told].count(Count.BYTES_STORED) == 1


def test_asking_for_nothing_loads_nothing(cache: Cache, truth: Truth) -> None:
    reads = cache.reader.read_many(truth.exam, [], "", wait_s=WAIT_S)

    assert (reads.found, reads.cache_status, truth.loads) == ({}, CacheStatus.HIT, [])


def test_what_is_absent_is_said_and_never_kept(cache: Cache, truth: Truth) -> None:
    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value is MISS

    truth.exams = {"1": "made since"}

    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value == "made since"


def test_of_a_partial_load_nothing_is_kept(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": "one", "2": "two"}
    truth.unknown = {"2"}

    reads = cache.reader.read_many(truth.exam, truth.keys("1", "2", "3"), "", wait_s=WAIT_S)

    assert reads.found == {truth.key("1"): "one"}
    assert reads.absent == {truth.key("3")}
    assert isinstance(reads.failed[truth.key("2")], ConnectionError)
    assert cache.backend.size().total_entries == 0
    refused = cache.counters.snapshot().by_detail(Count.REFUSED_STORES)
    assert refused == {"partial": 1}


def test_an_error_is_raised_and_never_kept(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": "one"}
    truth.failing = ConnectionError("cut")
    with pytest.raises(ConnectionError, match="cut"):
        cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)

    truth.failing = None

    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value == "one"


def test_a_value_of_another_type_is_given_and_not_kept(cache: Cache, truth: Truth) -> None:
    value = object()
    truth.exams = {"1": value}

    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value is value
    assert cache.counters.snapshot().by_detail(Count.REFUSED_STORES) == {"unfit": 1}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "no bytes"),
        (b"\xa3ol", "malformed"),
        (b"\xa3old\xc0", "malformed"),
        (b"\x91" * 100_000, "other shape"),
        (b"\xdd\xff\xff\xff\xff", "malformed"),
        (b"\xd9\x03old", "other shape"),
        (b"\xc4\x03old", "other shape"),
    ],
    ids=["empty", "cut off", "one byte more", "deep", "huge by its word", "long form", "bytes"],
)
def test_an_entry_that_cannot_be_read_is_dropped_and_loaded_again(
    cache: Cache, truth: Truth, payload: bytes, reason: str
) -> None:
    truth.exams = {"1": "old"}
    cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
    overwrite(cache.backend, "exam:1", payload)
    truth.exams = {"1": "readable"}

    read = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)

    assert (read.value, read.cache_status) == ("readable", CacheStatus.MISS)
    assert cache.counters.snapshot().by_detail(Count.UNREADABLE, "exam") == {reason: 1}
    again = cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
    assert (again.value, again.cache_status) == ("readable", CacheStatus.HIT)


def test_an_invalidated_entry_is_loaded_again(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": "old"}
    cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
    truth.exams = {"1": "new"}

    cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)

    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value == "new"


def test_without_a_cache_every_read_loads(backend: Backend, truth: Truth) -> None:
    off = open_cache(truth.catalogue, CacheConfig(enabled=False), backend=backend)
    truth.exams = {"1": "one"}

    for _ in range(2):
        read = off.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
        assert (read.value, read.cache_status) == ("one", CacheStatus.OFF)

    assert len(truth.loads) == 2
    assert backend.size().total_entries == 0


def test_only_students_within_the_rollout_read_through_it(backend: Backend, truth: Truth) -> None:
    cache = open_cache(truth.catalogue, CacheConfig(rollout_percentage=50), backend=backend)
    truth.exams = {"1": "one"}

    def outcomes(subject: str | None) -> list[CacheStatus]:
        key = truth.key("1")
        reads = (
            cache.reader.read(truth.exam, key, "", wait_s=WAIT_S, subject=subject) for _ in range(3)
        )
        return [read.cache_status for read in reads]

    outcomes(None)
    seen = {tuple(outcomes(str(number))) for number in range(40)}

    assert seen == {(CacheStatus.HIT,) * 3, (CacheStatus.BYPASS,) * 3}


def test_a_load_within_a_load_gets_its_answer(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": "one", "2": "two"}
    inner: list[object] = []

    def read_exams() -> None:
        truth.before_answering = lambda: None
        reads = cache.reader.read_many(truth.exam, truth.keys("1", "2"), "", wait_s=WAIT_S)
        inner.extend(reads.found.values())

    truth.before_answering = read_exams

    cache.reader.read(truth.page, truth.page.key(name="all"), "", wait_s=WAIT_S)

    assert inner == ["one", "two"]
    assert cache.backend.size().entries == {"exam": 2, "page": 1}


def test_what_is_held_for_longer_than_asked_is_loaded_anew(
    make_locmem: MakeLocMem, truth: Truth, clock: Clock
) -> None:
    cache = open_cache(truth.catalogue, CacheConfig(), backend=make_locmem())
    truth.exams = {"1": "old", "2": "other"}
    cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S)
    clock.advance(20)
    cache.reader.read(truth.exam, truth.key("2"), "", wait_s=WAIT_S)
    truth.exams["1"] = "new"

    old_enough, young = (
        cache.reader.read_many(
            truth.exam, truth.keys("1", "2"), "", wait_s=WAIT_S, max_age_s=max_age_s
        )
        for max_age_s in (20, 19)
    )

    assert old_enough.found[truth.key("1")] == "old"
    assert young.found == {truth.key("1"): "new", truth.key("2"): "other"}
    assert truth.loads == [["1"], ["2"], ["1"]]
    assert cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_S).value == "new"
    cache.close()


def read_stamps(cache: Cache, truth: Truth, *ids: str) -> Mapping[Key, Stamp]:
    """Read these exams, which are held by now, and return their stamps."""
    for _ in range(2):
        reads = cache.reader.read_many(truth.exam, truth.keys(*ids), "", wait_s=WAIT_S)
    assert reads.cache_status is CacheStatus.HIT
    assert len(reads.stamps) == len(ids)
    return reads.stamps


def test_the_very_entries_are_held_until_one_of_them_goes(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": 1, "2": 2}
    stamps = read_stamps(cache, truth, "1", "2")
    hits = cache.counters.snapshot().total(Count.HITS, "exam")

    assert cache.holds(stamps, None)
    assert cache.counters.snapshot().total(Count.HITS, "exam") == hits + 2

    cache.guarded_store.invalidate({"exam:2"}, (), cause=Cause.WEBHOOK)
    assert not cache.holds(stamps, None)
    read_stamps(cache, truth, "1", "2")
    assert not cache.holds(stamps, None), "another entry with the same value"
    assert cache.holds(read_stamps(cache, truth, "1", "2"), None)


def test_an_entry_past_its_time_is_not_held(
    make_locmem: MakeLocMem, truth: Truth, clock: Clock
) -> None:
    cache = open_cache(truth.catalogue, CacheConfig(), backend=make_locmem())
    truth.exams = {"1": 1}
    stamps = read_stamps(cache, truth, "1")

    clock.advance(truth.exam.ttl_s + 1)

    assert not cache.holds(stamps, None)


def test_a_read_that_loads_has_stamps_of_what_was_held_alone(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": 1, "2": 2}
    held = read_stamps(cache, truth, "1")

    both = cache.reader.read_many(truth.exam, truth.keys("1", "2"), "", wait_s=WAIT_S)

    assert both.cache_status is CacheStatus.MISS
    assert both.stamps[truth.key("1")] == held[truth.key("1")]
