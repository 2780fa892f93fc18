"""Each store of windows in turn, by a clock that stands still."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from booking_api.api.windows.accounts import WindowStore
from booking_api.api.windows.local_windows import LocalWindows
from booking_api.api.windows.redis_windows import RedisWindows
from tests.cache_layer.own_redis import OwnRedis

BEGIN_S = 1_800_000_000.0


@dataclass(slots=True)
class Clock:
    """Seconds since 1970."""

    now_s: float = BEGIN_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis of the file's own; skips without one unless the environment promised it."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("REDIS_PROMISED"):
            pytest.fail("REDIS_PROMISED is set, but there is no redis-server to start")
        pytest.skip("no redis-server to start")
    server = OwnRedis(binary, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


MakeStore = Callable[[], WindowStore]


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def make_store(request: pytest.FixtureRequest, clock: Clock) -> Iterator[MakeStore]:
    """Each call gives a store that has counted nothing."""
    made: list[WindowStore] = []

    def make() -> WindowStore:
        if request.param == "local":
            store: WindowStore = LocalWindows(clock)
        else:
            redis: OwnRedis = request.getfixturevalue("own_redis")
            redis.empty()
            store = RedisWindows(redis.url, clock=clock, timeout_s=30)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> WindowStore:
    return make_store()
