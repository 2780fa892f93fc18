"""Somebody else writes where our payloads are: it is a miss, whatever they put there."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from cache_layer import (
    MISS,
    Cache,
    CacheConfig,
    CacheStatus,
    Cause,
    Count,
    LoadedValue,
    object_tag,
    open_cache,
)
from cache_layer.operating.admin_page import build_entry_details
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S, eventually

pytestmark = pytest.mark.redis


class Touch:
    """Makes a file where it is read as a pickle."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda redis, key, _: redis.set(key, b"\xa3new"), None),
        (lambda redis, key, _: redis.set(key, b"\x00new"), "malformed"),
        (lambda redis, key, _: redis.set(key, b"\xc4\x02ne"), "other shape"),
        (lambda redis, key, _: redis.append(key, b"\x00"), "no bytes"),
        (lambda redis, key, _: redis.set(key, b""), "no bytes"),
        (lambda redis, key, _: redis.set(key, b"x" * 50_000_000), "no bytes"),
        (lambda redis, key, code: redis.set(key, code), "no bytes"),
        (lambda redis, key, _: [redis.delete(key), redis.rpush(key, "a", "b")], "no bytes"),
        (lambda redis, key, _: [redis.delete(key), redis.hset(key, "a", "b")], "no bytes"),
    ],
    ids=["another value", "garbage", "bytes", "longer", "empty", "huge", "code", "list", "hash"],
)
def test_what_is_put_in_a_payloads_place_is_read_as_data_or_not_at_all(
    make_redis: MakeRedis,
    redis_url: str,
    redis_prefix: str,
    truth: Truth,
    tmp_path: Path,
    spoil: Callable[[Redis, str, bytes], object],
    reason: str | None,
) -> None:
    truth.exams = {"1": "old", "2": "other"}
    cache = open_cache(truth.catalogue, CacheConfig(retry_s=0.01), backend=make_redis())
    read(cache, truth, "1"), read(cache, truth, "2")
    with Redis.from_url(redis_url) as redis:
        spoil(redis, f"{{{redis_prefix}}}:payload:exam:1", pickle.dumps(Touch(tmp_path / "ran")))

    status, value = read(cache, truth, "1")

    assert (status, value) == ((CacheStatus.MISS, "old") if reason else (CacheStatus.HIT, "new"))
    counted = {} if reason is None else {reason: 1}
    assert cache.counters.snapshot().by_detail(Count.UNREADABLE, "exam") == counted
    assert cache.counters.snapshot().total(Count.ERRORS) == 0
    assert not (tmp_path / "ran").exists()
    assert read(cache, truth, "1") == (CacheStatus.HIT, value)
    assert read(cache, truth, "2")[0] is CacheStatus.HIT
    cache.single_flight.close()


def test_code_of_the_same_length_is_not_run_either(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, truth: Truth, tmp_path: Path
) -> None:
    code = pickle.dumps(Touch(tmp_path / "ran"))
    truth.exams = {"1": "x" * (len(code) - 2)}
    cache = open_cache(truth.catalogue, CacheConfig(), backend=make_redis())
    read(cache, truth, "1")
    with Redis.from_url(redis_url) as redis:
        payload = f"{{{redis_prefix}}}:payload:exam:1"
        assert redis.strlen(payload) == len(code)
        redis.set(payload, code)

    assert read(cache, truth, "1") == (CacheStatus.MISS, truth.exams["1"])

    assert not (tmp_path / "ran").exists()
    pickle.loads(code)  # noqa: S301 - to see it do what must not be done
    assert (tmp_path / "ran").exists(), "the test's own code would have run"
    cache.single_flight.close()


def test_who_looks_at_it_is_told_that_it_cannot_be_read(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, truth: Truth
) -> None:
    truth.exams = {"1": "old"}
    cache = open_cache(truth.catalogue, CacheConfig(), backend=make_redis())
    read(cache, truth, "1")
    with Redis.from_url(redis_url) as redis:
        redis.append(f"{{{redis_prefix}}}:payload:exam:1", b"longer")

    held = cache.guarded_store.peek(truth.key("1"))
    assert held is not MISS
    shown = build_entry_details(truth.exam, "exam:1", held, unmasked=True)

    assert "cannot be read" in shown.value
    assert shown.payload_bytes == 0
    cache.single_flight.close()


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"hello",
        b"\x80",
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"\x92\x01\x02",
        b"\x82\xa4tags\x91\x90\xa6family\xa4exam",
        b"\x83\xa4tags\x90\xa6family\xa4exam\xaaexpires_ms\xcf\x00\x00\x02\x00\x00\x00\x00\x00",
    ],
)
def test_what_is_put_in_place_of_what_we_keep_of_an_entry_costs_the_entries_and_nothing_else(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, truth: Truth, meta: bytes
) -> None:
    """Which tags it had nobody knows: so neither it nor any other may be served on."""
    truth.exams = {"1": "old", "2": "other"}
    cache = open_cache(truth.catalogue, CacheConfig(retry_s=1e-6), backend=make_redis())
    for first in ("a reader", "an invalidation", "a store"):
        read(cache, truth, "1"), read(cache, truth, "2")
        with Redis.from_url(redis_url) as redis:
            redis.hset(f"{{{redis_prefix}}}:meta", "exam:1", meta)
        truth.exams["1"] = f"new for {first}"
        match first:
            case "a reader":
                assert read(cache, truth, "1") == (CacheStatus.BYPASS, truth.exams["1"])
            case "an invalidation":
                cache.invalidator.invalidate_tags([object_tag("exam", "1")], cause=Cause.WEBHOOK)
            case _:
                cache.guarded_store.store(
                    cache.guarded_store.look_up([]).ticket,
                    truth.exam,
                    {truth.key("1"): LoadedValue.built_from("new", {object_tag("exam", "1")})},
                )

        assert read(cache, truth, "1") == (CacheStatus.MISS, truth.exams["1"])
        # What was loaded while the cache began anew may not be kept; what is loaded then is.
        kept = CacheStatus.HIT, truth.exams["1"]
        eventually(lambda: read(cache, truth, "1") == kept)  # noqa: B023
        assert cache.guarded_store.all_delivered
    assert cache.counters.snapshot().total(Count.ERRORS) == 3
    cache.single_flight.close()


def read(cache: Cache, truth: Truth, exam_id: str) -> tuple[CacheStatus, object]:
    got = cache.reader.read(truth.exam, truth.key(exam_id), "", wait_s=WAIT_LIMIT_S)
    return got.cache_status, got.value
