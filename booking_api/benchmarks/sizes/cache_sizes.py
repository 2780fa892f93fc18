"""What a full cache costs: invalidating among many entries as among few, and a bound that holds."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cache_layer import CacheConfig, open_backend
from cache_layer.backends.base import Backend
from cache_layer.config import MIN_BYTES
from cache_layer.entries.entries import Entry

FEW, MANY = 1_000, 100_000
# What one student's or one exam's change removes: their page, details, credits, links.
ENTRIES_PER_SUBJECT = 20
ENTRIES_PER_STORE = 500
# More than any takes, so that the bound in entries is the one that is met.
BYTES_PER_ENTRY = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Invalidating:
    """Milliseconds for one subject's entries among few and among many others."""

    backend: str
    among_few_ms: float
    among_many_ms: float

    @property
    def ratio(self) -> float:
        return self.among_many_ms / self.among_few_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """How many keys were stored, how many were allowed, the most that were ever held."""

    stored: int
    allowed: int
    most_held: int


def measure_invalidation(*, redis_url: str, rounds: int, many: int = MANY) -> list[Invalidating]:
    """Return the cost on each backend; without Redis where its address is empty."""
    urls = {"locmem": ""} | ({"redis": redis_url} if redis_url != "" else {})
    return [measure_backend(name, url, rounds=rounds, many=many) for name, url in urls.items()]


def measure_backend(name: str, url: str, *, rounds: int, many: int) -> Invalidating:
    """Fill two caches, then take turns, so that whatever else the machine does hits both alike."""
    with filled_cache(url, FEW) as small, filled_cache(url, many) as large:
        took: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            for backend, found in zip((small, large), took, strict=True):
                found.append(time_to_invalidate(backend, f"contact:x{number}"))
    few_ms, many_ms = (statistics.median(found) * 1000 for found in took)
    return Invalidating(backend=name, among_few_ms=few_ms, among_many_ms=many_ms)


def time_to_invalidate(backend: Backend, tag: str) -> float:
    store_entries(backend, {f"{tag}:{number}": tag for number in range(ENTRIES_PER_SUBJECT)})
    started_s = time.perf_counter()
    removed = backend.invalidate([tag], ())
    took_s = time.perf_counter() - started_s
    if sum(removed.values()) != ENTRIES_PER_SUBJECT:
        raise RuntimeError(f"{sum(removed.values())} entries went, not {ENTRIES_PER_SUBJECT}.")
    return took_s


def measure_bound(*, keys: int, allowed: int) -> Bound:
    """Store so many different keys in a cache of so many and look how many it holds meanwhile."""
    backend = open_backend(
        CacheConfig(max_entries=allowed, max_bytes=max(MIN_BYTES, BYTES_PER_ENTRY * allowed))
    )
    most = 0
    for start in range(0, keys, ENTRIES_PER_STORE):
        store_entries(
            backend,
            {f"contact:{number}:details": "" for number in range(start, start + ENTRIES_PER_STORE)},
        )
        if start % (ENTRIES_PER_STORE * 100) == 0:
            most = max(most, backend.size().total_entries)
    most = max(most, backend.size().total_entries)
    backend.close()
    return Bound(stored=keys, allowed=allowed, most_held=most)


@contextmanager
def filled_cache(url: str, entries: int) -> Iterator[Backend]:
    """Give a cache with so many entries of as many contacts; it is emptied at the end."""
    config = CacheConfig(
        max_entries=2 * MANY,
        max_bytes=BYTES_PER_ENTRY * 2 * MANY,
        redis_url=url,
        key_prefix=f"bench-{uuid.uuid4().hex}",
        key_secrets=("benchmark",),
        redis_timeout_s=30,
    )
    backend = open_backend(config)
    try:
        for start in range(0, entries, ENTRIES_PER_STORE):
            numbers = range(start, start + ENTRIES_PER_STORE)
            store_entries(backend, {f"contact:{n}:details": f"contact:{n}" for n in numbers})
        yield backend
    finally:
        for page in list(backend.scan_keys()):
            backend.remove(page)
        backend.close()


def store_entries(backend: Backend, tag_of: dict[str, str]) -> None:
    entries = {
        key: Entry(
            family="contacts",
            payload=b"{}",
            tags=frozenset({tag} if tag else ()),
            ttl_s=3600,
            version="",
        )
        for key, tag in tag_of.items()
    }
    backend.store(backend.look_up(()).ticket, entries)
