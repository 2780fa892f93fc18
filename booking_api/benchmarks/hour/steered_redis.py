"""Redis with a steered clock, for an hour in seconds: its scripts read the time they are told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from cache_layer.backends import redis as redis_backend

READS_TIME = "local clock = redis.call('TIME')\n"
READS_TOLD = (
    # Each step is a microsecond: what was used last must be known.
    "local told_us = redis.call('INCR', STATE .. ':clock')\n"
    "local clock = {math.floor(told_us / 1000000), told_us % 1000000}\n"
)


class SteeredRedis:
    """A place of its own in a Redis, under `prefix`; by its clock no time passes but what is
    told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"hour-{uuid.uuid4().hex}"
        self._client = Redis.from_url(url)

    def tell(self, passed_s: float) -> None:
        """Let it be so many seconds after the clock's start."""
        self._client.set(f"{{{self.prefix}}}:state:clock", int(passed_s * 1_000_000))

    def clear(self) -> None:
        """Remove all that was kept here, and let go of the connection."""
        for key in self._client.scan_iter(f"{{{self.prefix}}}*", count=1_000):
            self._client.unlink(key)
        self._client.close()


@contextmanager
def open_steered_redis(url: str) -> Iterator[SteeredRedis]:
    """Inside the block, caches over Redis that this process opens go by the told clock."""
    read_source = redis_backend._read_source

    def read_told(name: str, *, common: bool = True) -> str:
        source = read_source(name, common=common)
        told = source.replace(READS_TIME, READS_TOLD)
        if common and told == source:
            raise RuntimeError("The scripts read the time otherwise by now.")
        return told

    redis_backend._read_source = read_told  # type: ignore[assignment]
    steered = SteeredRedis(url)
    try:
        yield steered
    finally:
        redis_backend._read_source = read_source
        steered.clear()
