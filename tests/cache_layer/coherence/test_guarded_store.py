"""Writes, and a backend that cannot be reached: no failed read, no forgotten invalidation."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from cache_layer import (
    MISS,
    Cache,
    CacheConfig,
    CacheStatus,
    Cause,
    Count,
    FreshValue,
    LoadedValue,
    ReadResult,
    WriteResult,
    open_cache,
)
from cache_layer.backends.base import Backend
from cache_layer.coherence.pending import MAX_PENDING, InvalidationBatch, PendingInvalidations
from tests.cache_layer.faithful import Breakable
from tests.cache_layer.support import Clock
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

RETRY_S = 1.0


@pytest.fixture
def breakable(backend: Backend) -> Breakable:
    return Breakable(backend)


@pytest.fixture
def cache(breakable: Breakable, truth: Truth, clock: Clock) -> Iterator[Cache]:
    config = CacheConfig(retry_s=RETRY_S)
    made = open_cache(truth.catalogue, config, backend=breakable, clock=clock)
    truth.exams = {"1": "old", "2": "two"}
    yield made
    made.close()


def read(cache: Cache, truth: Truth, exam_id: str = "1") -> ReadResult[object]:
    return cache.reader.read(truth.exam, truth.key(exam_id), "", wait_s=WAIT_LIMIT_S)


def write(cache: Cache, truth: Truth, value: object) -> str:
    def call() -> WriteResult[str]:
        truth.exams = {**truth.exams, "1": value}
        fresh = FreshValue(truth.exam, truth.key("1"), LoadedValue.built_from(value, ["exam:1"]))
        return WriteResult("done", [fresh])

    return cache.guarded_store.write_through(["exam:1"], call).answer


def test_the_read_after_a_write_is_a_hit_of_the_new_value(cache: Cache, truth: Truth) -> None:
    read(cache, truth)

    assert write(cache, truth, "new") == "done"

    after = read(cache, truth)
    assert (after.value, after.cache_status) == ("new", CacheStatus.HIT)


def test_a_write_that_failed_may_have_happened_so_the_old_value_goes(
    cache: Cache, truth: Truth
) -> None:
    read(cache, truth)

    def call() -> WriteResult[None]:
        truth.exams["1"] = "new"
        raise TimeoutError

    with pytest.raises(TimeoutError):
        cache.guarded_store.write_through(["exam:1"], call)

    assert read(cache, truth).value == "new"


def test_a_webhook_during_a_write_wins_over_the_written_value(cache: Cache, truth: Truth) -> None:
    def call() -> WriteResult[None]:
        truth.exams["1"] = "edited by a person just after"
        cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)
        loaded = LoadedValue.built_from("written", ["exam:1"])
        return WriteResult(None, [FreshValue(truth.exam, truth.key("1"), loaded)])

    cache.guarded_store.write_through(["exam:1"], call)

    assert read(cache, truth).value == "edited by a person just after"


def test_tags_a_write_turned_out_to_touch_go_too(cache: Cache, truth: Truth) -> None:
    read(cache, truth, "2")
    truth.exams["2"] = "new"

    cache.guarded_store.write_through(
        ["exam:1"], lambda: WriteResult(None, tags=frozenset({"exam:2"}))
    )

    assert read(cache, truth, "2").value == "new"


def test_a_store_during_a_flush_by_a_load_from_before_it_is_refused(
    cache: Cache, truth: Truth
) -> None:
    read(cache, truth, "2")
    ticket = cache.guarded_store.look_up([truth.key("1")]).ticket
    refused = []

    def matches(key: str) -> bool:
        loaded = {truth.key("1"): LoadedValue.built_from("old", ["exam:1"])}
        refused.append(cache.guarded_store.store(ticket, truth.exam, loaded).refused)
        return True

    cache.guarded_store.flush(matches, cause=Cause.FORCED)

    assert [list(each.values()) for each in refused] == [["flushed"]]


def test_a_value_is_kept_no_longer_than_its_loader_says(cache: Cache, truth: Truth) -> None:
    ticket = cache.guarded_store.look_up([]).ticket
    loaded = {
        truth.key("1"): LoadedValue("soon out of date", frozenset(), keep_s=5),
        truth.key("2"): LoadedValue("out of date already", frozenset(), keep_s=0),
        truth.key("3"): LoadedValue("out of date for long", frozenset(), keep_s=-3),
    }

    refused = cache.guarded_store.store(ticket, truth.exam, loaded).refused

    held = cache.peek("exam:1")
    assert held is not MISS
    assert held.ttl_left_s <= 5
    assert refused == {"exam:2": "too old", "exam:3": "too old"}
    assert cache.counters.snapshot().by_detail(Count.REFUSED_STORES) == {"too old": 2}
    assert (cache.peek("exam:2"), cache.peek("exam:3")) == (MISS, MISS)


def test_a_read_never_fails_with_the_cache(
    cache: Cache, truth: Truth, breakable: Breakable
) -> None:
    read(cache, truth)
    breakable.cut_off = True

    broken = read(cache, truth)

    assert (broken.value, broken.cache_status) == ("old", CacheStatus.BYPASS)
    assert cache.counters.snapshot().by_detail(Count.ERRORS) == {"lookup": 1}


def test_a_broken_backend_is_left_alone_for_a_moment(
    cache: Cache, truth: Truth, breakable: Breakable, clock: Clock
) -> None:
    tries: list[None] = []
    breakable.meanwhile = lambda: tries.append(None)
    breakable.cut_off = True
    for _ in range(5):
        read(cache, truth)
    assert len(tries) == 1

    breakable.cut_off = False
    clock.advance(RETRY_S)

    assert read(cache, truth).cache_status is CacheStatus.MISS
    assert read(cache, truth).cache_status is CacheStatus.HIT


def test_a_load_that_lost_the_cache_on_its_way_still_answers(
    cache: Cache, truth: Truth, breakable: Breakable
) -> None:
    def cut() -> None:
        breakable.cut_off = True

    truth.before_answering = cut

    assert read(cache, truth).value == "old"
    assert cache.counters.snapshot().by_detail(Count.REFUSED_STORES) == {"unavailable": 1}


@pytest.mark.parametrize("way", ["tags", "keys", "pattern", "family", "all", "write"])
def test_an_invalidation_that_could_not_be_delivered_is_delivered_before_the_next_hit(
    cache: Cache, truth: Truth, breakable: Breakable, clock: Clock, way: str
) -> None:
    read(cache, truth)
    breakable.cut_off = True
    truth.exams["1"] = "new"
    invalidator, cause = cache.invalidator, Cause.FORCED
    ways = {
        "tags": lambda: invalidator.invalidate_tags(["exam:1"], cause=cause),
        "keys": lambda: invalidator.invalidate_keys(["exam:1"], cause=cause),
        "pattern": lambda: invalidator.invalidate_pattern("exam:*", cause=cause),
        "family": lambda: invalidator.invalidate_family("exam", cause=cause),
        "all": lambda: invalidator.invalidate_everything(cause=cause),
        "write": lambda: write(cache, truth, "new"),
    }
    ways[way]()
    assert not cache.guarded_store.all_delivered
    assert read(cache, truth).cache_status is CacheStatus.BYPASS
    breakable.cut_off = False
    assert read(cache, truth).cache_status is CacheStatus.BYPASS

    clock.advance(RETRY_S)

    assert read(cache, truth).value == "new"
    assert cache.guarded_store.all_delivered


def test_a_late_load_does_not_slip_in_before_the_delivery(
    cache: Cache, truth: Truth, breakable: Breakable, clock: Clock
) -> None:
    ticket = cache.guarded_store.look_up([truth.key("1")]).ticket
    breakable.cut_off = True
    cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)
    breakable.cut_off = False
    cache.guarded_store.store(
        ticket, truth.exam, {truth.key("1"): LoadedValue.built_from("old", ["exam:1"])}
    )
    truth.exams["1"] = "new"
    clock.advance(RETRY_S)

    assert read(cache, truth).value == "new"


def test_an_undelivered_invalidation_says_so(
    cache: Cache, truth: Truth, breakable: Breakable
) -> None:
    breakable.cut_off = True

    undelivered = cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)

    breakable.cut_off = False
    assert not undelivered.delivered
    assert cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK).delivered


def test_what_is_added_during_a_delivery_stays_undelivered() -> None:
    undelivered = PendingInvalidations()
    undelivered.add(["exam:1", "exam:2"], [])

    undelivered.deliver(lambda _: undelivered.add(["exam:1"], ["k"], flush=True))

    left: list[InvalidationBatch] = []
    undelivered.deliver(left.append)
    assert [(batch.tags, batch.keys, batch.flush) for batch in left] == [({"exam:1"}, {"k"}, True)]
    assert not undelivered


def test_a_broken_cache_is_logged_once_a_while(
    cache: Cache,
    truth: Truth,
    breakable: Breakable,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    breakable.cut_off = True
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            clock.advance(RETRY_S)
            read(cache, truth)
        assert len(caplog.records) == 1
        clock.advance(30)
        read(cache, truth)

    assert len(caplog.records) == 2
    assert cache.counters.snapshot().total(Count.ERRORS) == 51


def test_more_than_can_be_remembered_while_the_backend_is_away_is_a_flush(
    cache: Cache, breakable: Breakable, truth: Truth, clock: Clock
) -> None:
    read(cache, truth, "1")
    read(cache, truth, "2")
    breakable.cut_off = True
    for start in range(0, MAX_PENDING + 1_000, 1_000):
        tags = [f"contact:{start + number}" for number in range(1_000)]
        cache.invalidator.invalidate_tags(tags, cause=Cause.WEBHOOK)
    truth.exams = {"1": "new", "2": "new"}
    breakable.cut_off = False
    clock.advance(RETRY_S)

    assert [read(cache, truth, exam_id).value for exam_id in "12"] == ["new", "new"]
    assert cache.guarded_store.all_delivered


def test_what_is_added_while_a_crowd_is_delivered_stays_pending() -> None:
    undelivered = PendingInvalidations()
    undelivered.add([f"contact:{number}" for number in range(MAX_PENDING + 1)], [])
    delivered: list[tuple[object, ...]] = []

    def deliver(batch: InvalidationBatch) -> None:
        delivered.append((batch.tags, batch.keys, batch.flush))
        if len(delivered) == 1:
            undelivered.add(["contact:1"], ["late"])

    undelivered.deliver(deliver)
    assert undelivered
    undelivered.deliver(deliver)

    assert delivered == [(set(), set(), True), ({"contact:1"}, {"late"}, False)]
    assert not undelivered
