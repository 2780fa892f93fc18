"""Small helpers that say what a cache test means, and wait on conditions, never on time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection
from msgspec import structs

from cache_layer.backends.base import Backend
from cache_layer.entries.entries import MISS, Entry, HeldEntry, Miss
from cache_layer.entries.families import Family

V = TypeVar("V")


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
    return Entry(
        family=family, payload=payload, tags=frozenset(tags), ttl_s=ttl_s, version="of its types"
    )


def put(backend: Backend, key: str, payload: bytes = b"v", *, tags: Iterable[str] = ()) -> None:
    """Store one entry by a load that nothing overtook."""
    stored = backend.store(backend.look_up(()).ticket, {key: entry(payload, tags=tags)})
    assert stored.refused == {}


def value_of(family: Family[V, Any], held: HeldEntry | Miss) -> V:
    """Return the value of an entry that is held."""
    assert held is not MISS
    return family.values.decode(held.entry.payload)


def payload_at(backend: Backend, key: str) -> bytes | None:
    held = backend.look_up([key]).entries.get(key)
    return None if held is None else held.entry.payload


def overwrite(backend: Backend, key: str, payload: bytes) -> None:
    """Put other bytes into an entry, as whoever can write to the store can."""
    found = backend.look_up([key])
    entry_there = found.entries[key].entry
    stored = backend.store(found.ticket, {key: structs.replace(entry_there, payload=payload)})
    assert stored.refused == {}


@contextmanager
def no_table() -> Iterator[None]:
    """Take the table of undelivered invalidations away, as a database is that is away for it."""
    table = "cache_undeliveredinvalidation"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
