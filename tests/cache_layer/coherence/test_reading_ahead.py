"""What is loaded before anybody asks: who is served by it is counted, reading ahead is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cache_layer import Cache, CacheConfig, Count, open_cache
from cache_layer.backends.base import Backend
from cache_layer.entries.entries import HeldEntry
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

READER, AHEAD = 2, 5


@pytest.fixture
def cache(backend: Backend, truth: Truth) -> Iterator[Cache]:
    made = open_cache(truth.catalogue, CacheConfig(ahead_rank=AHEAD), backend=backend)
    yield made
    made.close()


def read(cache: Cache, truth: Truth, *ids: str, rank: int, max_age_s: float = 1e9) -> None:
    found = cache.reader.read_many(
        *(truth.exam, truth.keys(*ids), ""), wait_s=WAIT_LIMIT_S, rank=rank, max_age_s=max_age_s
    ).found
    assert {key.arguments["id"] for key in found} == set(ids)


def test_hits_of_what_was_loaded_ahead_are_told_from_others(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": 1, "2": 2}
    read(cache, truth, "1", rank=AHEAD)
    read(cache, truth, "2", rank=READER)
    for _ in range(3):
        read(cache, truth, "1", "2", rank=READER)

    counted = cache.counters.snapshot()
    assert counted.total(Count.AHEAD_STORES, "exam") == 1
    assert counted.total(Count.HITS, "exam") == 6
    assert counted.total(Count.AHEAD_HITS, "exam") == 3


def test_reading_ahead_is_neither_a_hit_nor_a_miss(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": 1}
    for _ in range(2):
        read(cache, truth, "1", rank=AHEAD)

    counted = cache.counters.snapshot()
    assert (counted.total(Count.HITS), counted.total(Count.MISSES)) == (0, 0)
    assert counted.total(Count.AHEAD_HITS) == 0
    assert truth.loads == [["1"]]


def test_what_a_reader_has_loaded_since_is_the_readers(cache: Cache, truth: Truth) -> None:
    truth.exams = {"1": 1}
    read(cache, truth, "1", rank=AHEAD)
    held = cache.peek("exam:1")
    assert isinstance(held, HeldEntry)
    assert held.entry.ahead

    read(cache, truth, "1", rank=READER, max_age_s=-1.0)
    read(cache, truth, "1", rank=READER)

    assert cache.counters.snapshot().total(Count.AHEAD_HITS) == 0
