"""A Redis whose clock tests can move: each script reads the time a while ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cache_layer.backends import redis as redis_backend
from tests.cache_layer.support import Clock

READS_TIME = "local clock = redis.call('TIME')\n"


class RedisClock(Clock):
    """Redis' own time in seconds. It goes on by itself, and as far as told besides."""

    def __init__(self, client: Any, prefix: str) -> None:
        super().__init__()
        self._client = client
        self._key = f"{{{prefix}}}:state:shift"

    def __call__(self) -> float:
        seconds, micros = self._client.time()
        return float(seconds + micros / 1e6 + float(self._client.get(self._key) or 0))

    def advance(self, seconds: float) -> None:
        self._client.incrbyfloat(self._key, seconds)


def shift_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the scripts of backends that are made from now on read the shifted time."""
    read: Callable[..., str] = redis_backend._read_source.__wrapped__

    def read_shifted(name: str, *, common: bool = True) -> str:
        source = read(name, common=common)
        shifted = source.replace(
            READS_TIME,
            READS_TIME + "clock[1] = clock[1] + (redis.call('GET', STATE .. ':shift') or 0)\n",
        )
        assert shifted != source or not common, "no script reads the time so any more"
        return shifted

    monkeypatch.setattr(redis_backend, "_read_source", read_shifted)
