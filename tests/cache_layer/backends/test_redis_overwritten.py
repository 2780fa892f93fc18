"""Somebody else writes where our payloads are: it is a miss, whatever they put there."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from cache_layer import Cache, CacheConfig, CacheStatus, Count, open_cache
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

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


def read(cache: Cache, truth: Truth, exam_id: str) -> tuple[CacheStatus, object]:
    got = cache.reader.read(truth.exam, truth.key(exam_id), "", wait_s=WAIT_LIMIT_S)
    return got.cache_status, got.value
