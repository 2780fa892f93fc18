"""Small helpers that say what a cache test means, and wait on conditions, never on time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from cache_layer.backends.base import Backend
from cache_layer.entries import Entry

WAIT_LIMIT_S = 30.0


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


def entry(
    payload: bytes = b"v", *, tags: Iterable[str] = (), family: str = "exam", ttl_s: float = 60.0
) -> Entry:
    return Entry(family=family, payload=payload, rendered=True, tags=frozenset(tags), ttl_s=ttl_s)


def put(backend: Backend, key: str, payload: bytes = b"v", *, tags: Iterable[str] = ()) -> None:
    """Store one entry by a load that nothing overtook."""
    stored = backend.store(backend.lookup(()).ticket, {key: entry(payload, tags=tags)})
    assert stored.refused == {}


def payload_at(backend: Backend, key: str) -> bytes | None:
    held = backend.lookup([key]).held.get(key)
    return None if held is None else held.entry.payload


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail after a limit."""
    pause = threading.Event()
    until_s = time.monotonic() + WAIT_LIMIT_S
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        pause.wait(0.005)
