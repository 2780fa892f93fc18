"""Redis at its limit of memory, where it refuses whatever writes before it frees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from cache_layer import Cache, CacheConfig, CacheStatus, Cause, FreshValue, LoadedValue, open_cache
from cache_layer.backends.base import Refusal
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import entry, payload_at, put
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

pytestmark = pytest.mark.redis


@pytest.fixture
def cache(own_redis: OwnRedis, truth: Truth) -> Iterator[Cache]:
    truth.exams = {"1": "old", "2": "two"}
    made = open_cache(
        truth.catalogue, CacheConfig(redis_url=own_redis.url, retry_s=0.01, key_secrets=("a",))
    )
    yield made
    made.close()


def fill(own_redis: OwnRedis) -> None:
    """Let nothing more fit into it; what is there stays."""
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        with pytest.raises(ResponseError, match="maxmemory"):
            client.set("one", "more")


def read(cache: Cache, truth: Truth, exam_id: str = "1") -> tuple[object, CacheStatus]:
    found = cache.reader.read(truth.exam, truth.key(exam_id), "", wait_s=WAIT_LIMIT_S)
    return found.value, found.cache_status


@pytest.mark.parametrize("way", ["tags", "keys", "pattern", "all"])
def test_an_invalidation_is_delivered(
    own_redis: OwnRedis, cache: Cache, truth: Truth, way: str
) -> None:
    read(cache, truth, "1")
    read(cache, truth, "2")
    ticket = cache.backend.look_up(()).ticket
    fill(own_redis)
    truth.exams["1"] = "new"

    cause = Cause.FORCED
    done = {
        "tags": lambda: cache.invalidator.invalidate_tags(["exam:1", "exam:9"], cause=cause),
        "keys": lambda: cache.invalidator.invalidate_keys(["exam:1"], cause=cause),
        "pattern": lambda: cache.invalidator.invalidate_pattern("exam:1", cause=cause),
        "all": lambda: cache.invalidator.invalidate_everything(cause=cause),
    }[way]()

    assert (done.delivered, done.total_removed) == (True, 2 if way == "all" else 1)
    assert read(cache, truth)[0] == "new"
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 0)
    stale = cache.backend.store(ticket, {"exam:1": entry(tags=["exam:1"])})
    assert len(stale.refused) == 1


def test_an_invalidation_of_what_is_not_held_is_delivered_too(
    own_redis: OwnRedis, cache: Cache
) -> None:
    put(cache.backend, "other")
    ticket = cache.backend.look_up(()).ticket
    fill(own_redis)

    assert cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK).delivered

    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 0)
    stale = cache.backend.store(ticket, {"k": entry(tags=["exam:1"])})
    assert stale.refused == {"k": Refusal.INVALIDATED}


def test_a_write_is_delivered_and_stores_nothing(
    own_redis: OwnRedis, cache: Cache, truth: Truth
) -> None:
    read(cache, truth)
    ticket = cache.backend.look_up(()).ticket
    fill(own_redis)
    fresh = FreshValue(truth.exam, truth.key("1"), LoadedValue.built_from("new", ["exam:1"]))

    written = cache.guarded_store.invalidate_and_store(
        ticket, ["exam:1"], [fresh], cause=Cause.WRITE
    )

    assert (written.delivered, written.removed) == (True, {"exam": 1})
    assert payload_at(cache.backend, "exam:1") is None


def test_what_is_held_is_served_and_what_is_loaded_is_not_stored(
    own_redis: OwnRedis, cache: Cache, truth: Truth
) -> None:
    read(cache, truth, "1")
    fill(own_redis)

    assert read(cache, truth, "1") == ("old", CacheStatus.HIT)
    assert read(cache, truth, "2") == ("two", CacheStatus.MISS)
    assert read(cache, truth, "2") == ("two", CacheStatus.MISS)
    assert read(cache, truth, "1") == ("old", CacheStatus.HIT)
