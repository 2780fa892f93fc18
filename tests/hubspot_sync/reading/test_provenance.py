"""How long an answer may be kept, by what it is built from."""

from __future__ import annotations

import pytest

from cache_layer import CacheStatus, ReadManyResult
from hubspot_sync.reading.provenance import Provenance
from tests.cache_layer.support import Clock

EXAM_TTL_S, PAGE_TTL_S = 300.0, 120.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built_from(clock: Clock) -> Provenance:
    return Provenance(clock)


def read_exam(built_from: Provenance, *, age_s: float = 0.0) -> None:
    reads = ReadManyResult[object](found={}, cache_status=CacheStatus.HIT, age_s=age_s)
    built_from.add(EXAM_TTL_S, reads, built_from.clock())


def test_a_page_of_an_old_exam_is_kept_no_longer_than_the_exam(built_from: Provenance) -> None:
    read_exam(built_from, age_s=250.0)

    assert built_from.ttl_left_s(PAGE_TTL_S) == 50.0


def test_what_was_held_grows_older_while_the_rest_is_read(
    built_from: Provenance, clock: Clock
) -> None:
    read_exam(built_from, age_s=250.0)
    clock.advance(20.0)
    read_exam(built_from)

    assert built_from.ttl_left_s(PAGE_TTL_S) == 30.0


def test_what_was_read_is_as_old_as_its_call_took(built_from: Provenance, clock: Clock) -> None:
    began_s = clock()
    clock.advance(20.0)
    built_from.add(
        PAGE_TTL_S, ReadManyResult[object](found={}, cache_status=CacheStatus.MISS), began_s
    )

    assert built_from.ttl_left_s(PAGE_TTL_S) == 100.0
