"""A clock that stands still, a Redis where there is one, and entries in one line."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from cache_layer import Cache, CacheConfig, open_cache
from cache_layer.backends.base import Backend
from cache_layer.backends.locmem import LocMemBackend
from cache_layer.backends.redis import RedisBackend
from cache_layer.config import DEFAULT_MAX_BYTES, DEFAULT_SETTLE_S, DEFAULT_TTL_CONFIRMED_S
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import Clock
from tests.cache_layer.truth import Truth

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Redis for tests; skips without one, unless the environment promised it."""
    client = Redis.from_url(REDIS_URL, socket_connect_timeout=0.5)
    try:
        client.ping()
    except (RedisError, OSError):
        if os.environ.get("REDIS_PROMISED"):
            raise
        pytest.skip("no Redis at TEST_REDIS_URL")
    finally:
        client.close()
    return REDIS_URL


MakeLocMem = Callable[..., LocMemBackend]
MakeRedis = Callable[..., RedisBackend]


@pytest.fixture
def make_locmem(clock: Clock) -> MakeLocMem:
    def make(
        *,
        max_entries: int = 1000,
        max_bytes: int = DEFAULT_MAX_BYTES,
        load_horizon_s: float = 120.0,
        settle_s: float = DEFAULT_SETTLE_S,
    ) -> LocMemBackend:
        return LocMemBackend(
            max_entries=max_entries,
            max_bytes=max_bytes,
            load_horizon_s=load_horizon_s,
            settle_s=settle_s,
            clock=clock,
        )

    return make


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A prefix of this test's own; its keys, and no others, are gone afterwards."""
    prefix = f"test-{uuid.uuid4().hex}"
    yield prefix
    client = Redis.from_url(redis_url)
    for key in client.scan_iter(f"{{{prefix}*}}:*", count=1000):
        client.delete(key)
    client.close()


@pytest.fixture
def make_redis(redis_url: str, redis_prefix: str) -> Iterator[MakeRedis]:
    """Each call is another process's view of the same entries."""
    made: list[RedisBackend] = []

    def make(
        *,
        max_entries: int = 1000,
        max_bytes: int = DEFAULT_MAX_BYTES,
        load_horizon_s: float = 120.0,
        lease_s: float = 5.0,
        settle_s: float = DEFAULT_SETTLE_S,
        ttl_confirmed_s: float = DEFAULT_TTL_CONFIRMED_S,
        url: str = redis_url,
    ) -> RedisBackend:
        backend = RedisBackend(
            url,
            prefix=redis_prefix,
            max_entries=max_entries,
            max_bytes=max_bytes,
            load_horizon_s=load_horizon_s,
            lease_s=lease_s,
            settle_s=settle_s,
            ttl_confirmed_s=ttl_confirmed_s,
            timeout_s=2.0,
        )
        made.append(backend)
        return backend

    yield make
    for backend in made:
        backend.close()


@pytest.fixture(params=["locmem", pytest.param("redis", marks=pytest.mark.redis)])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn."""
    made: Backend = request.getfixturevalue(f"make_{request.param}")()
    return made


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture
def cache(backend: Backend, truth: Truth) -> Iterator[Cache]:
    made = open_cache(truth.catalogue, CacheConfig(retry_s=0.01), backend=backend)
    yield made
    made.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis of this test's own, which it may kill."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("REDIS_PROMISED"):
            pytest.fail("REDIS_PROMISED is set, but there is no redis-server to start")
        pytest.skip("no redis-server to start")
    server = OwnRedis(binary, tmp_path)
    server.start()
    yield server
    server.kill()
