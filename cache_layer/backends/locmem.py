"""The cache in this process's memory: Django's own, with tags, a real LRU, a bound and a guard.

Django keeps the entries, their order of use and their expiry; this adds the index of tags and the
count of invalidations, all under Django's lock, with values turned into bytes before it is taken.
Django's cull drops the least recent third, live entries too; here room is made before an entry
comes: what has expired goes first, and then one after the other, the least recently used first, as
many as the bounds in entries and in bytes ask for. Made once per process and handed around, not
through CACHES, whose instances are one per thread.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from typing_extensions import override

from cache_layer.backends.base import (
    ByFamily,
    ByteBudget,
    Lookup,
    Refusal,
    Size,
    StoreResult,
    Ticket,
    WriteThroughResult,
)
from cache_layer.backends.chunks import split_into_chunks
from cache_layer.backends.local_guard import LocalGuard
from cache_layer.backends.local_records import Record, compute_cost
from cache_layer.backends.local_tags import LocalTags
from cache_layer.backends.proof import ProofState
from cache_layer.config import DEFAULT_MAX_BYTES, DEFAULT_SETTLE_S
from cache_layer.endings import MAX_TOLD_PER_STEP, Ended, Ending, EndingsObserver
from cache_layer.entries.entries import Entry, HeldEntry

_MAX_PER_PAGE = 1000
_SLACK = 64


P = ParamSpec("P")
R = TypeVar("R")


def as_step(
    method: Callable[Concatenate[LocMemBackend, P], R],
) -> Callable[Concatenate[LocMemBackend, P], R]:
    """Do what the method does under the lock, and afterwards tell of what it has ended."""

    @wraps(method)
    def run(backend: LocMemBackend, /, *arguments: P.args, **named: P.kwargs) -> R:
        with backend._lock:
            answer = method(backend, *arguments, **named)
            ended = backend._ended
            if ended:
                backend._ended = []
        if ended:
            for observer in backend._observers:
                observer(ended)
        return answer

    return run


class LocMemBackend(LocMemCache):
    """Many threads, one process. `clock` counts seconds and never goes back."""

    name = "locmem"
    shared = False

    def __init__(
        self,
        *,
        max_entries: int,
        load_horizon_s: float,
        max_bytes: int = DEFAULT_MAX_BYTES,
        settle_s: float = DEFAULT_SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("", {"OPTIONS": {"MAX_ENTRIES": max_entries}})
        # Django shares these between instances of one name; the index below would not be shared.
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._expire_info: dict[str, float | None] = {}
        self._lock = threading.Lock()
        self.max_entries = max_entries
        budget = ByteBudget(max_bytes)
        self._max_entry_bytes = budget.for_entries
        self._max_bytes_of_one = budget.for_one_entry
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._tags = LocalTags()
        self._deadlines: list[tuple[float, str]] = []
        self._entries: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._evicted: Counter[str] = Counter()
        self._evicted_for_bytes: Counter[str] = Counter()
        self._expired: Counter[str] = Counter()
        self._stamp = 0
        self._guard = LocalGuard(
            max_mark_bytes=budget.for_marks,
            load_horizon_s=load_horizon_s,
            settle_s=settle_s,
            clock=clock,
        )
        # What Django's own methods have stored: `incr` makes it longer without telling.
        self._plain_costs: dict[str, int] = {}
        self._entry_bytes = 0
        self._ended: list[Ending] = []
        self._observers: list[EndingsObserver] = []

    def observe_endings(self, observer: EndingsObserver) -> None:
        self._observers.append(observer)

    @as_step
    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        found: dict[str, HeldEntry] = {}
        now_s, proof, records = self._clock(), self._guard.proof, self._records
        for key in keys:
            record = records.get(key)
            if record is None:
                continue
            if record.expires_s <= now_s and record.live_until_s(proof) <= now_s:
                self._expire(key, record)
                continue
            if touch:
                self._cache.move_to_end(key, last=False)
            found[key] = record.as_held(now_s, proof)
        return Lookup(
            entries=found, ticket=self._guard.take_ticket(), expired=_drain(self._expired)
        )

    @as_step
    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        entries = self._guard.withhold_epochs(ticket, entries)
        return self._store(self._guard.find_refusals(ticket, entries, frozenset()), entries)

    @as_step
    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        return self._invalidate(tags, keys)

    @as_step
    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        # Refusals and epochs first: the marks set next are our own.
        entries = self._guard.withhold_epochs(ticket, entries)
        refused = self._guard.find_refusals(ticket, entries, frozenset(tags))
        removed = self._invalidate(tags, entries.keys())
        return WriteThroughResult(removed=removed, stored=self._store(refused, entries))

    @as_step
    def raise_floor(self) -> None:
        self._guard.raise_floor()

    def scan_keys(self) -> Iterator[Sequence[str]]:
        with self._lock:
            keys = list(self._records)
        yield from split_into_chunks(keys, _MAX_PER_PAGE)

    @as_step
    def find_keys_by_tags(self, tags: Collection[str]) -> frozenset[str]:
        return self._tags.find_keys(tags)

    @as_step
    def remove(self, keys: Collection[str]) -> ByFamily:
        return self._remove(keys)

    @as_step
    def size(self) -> Size:
        self._sweep()
        return Size(
            entries=dict(+self._entries),
            payload_bytes=dict(+self._bytes),
            expired=_drain(self._expired),
            used_bytes=self._entry_bytes + self._guard.used_bytes,
        )

    @as_step
    def read_proof(self) -> ProofState:
        return self._guard.read_proof()

    @as_step
    def begin_epoch(self, epoch: str, covered: Collection[str], term: int) -> bool:
        return self._guard.begin_epoch(epoch, covered, term)

    @as_step
    def confirm(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> bool:
        return self._guard.confirm(epoch, until_ms, lapses_ms, term)

    @as_step
    def end_proof(self, term: int | None) -> ByFamily | None:
        if not self._guard.end_proof(term):
            return None
        for key in list(self._records):
            self._get_or_expire(key)
        return _drain(self._expired)

    def claim_leases(self, keys: Collection[str], owner: str) -> frozenset[str]:  # noqa: ARG002
        """Take every key: there is no other process."""
        return frozenset(keys)

    def release_leases(self, keys: Collection[str], owner: str) -> None:
        """Nothing to give back."""

    @override
    @as_step
    def clear(self) -> None:
        self._guard.raise_floor()
        self._remove(list(self._records))
        self._cache.clear()
        self._expire_info.clear()
        self._deadlines.clear()
        self._plain_costs.clear()
        self._entry_bytes = 0

    @override
    def get_backend_timeout(self, timeout: float | None = DEFAULT_TIMEOUT) -> float | None:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else self._clock() + max(0, timeout)

    # Steps below run under the lock.

    def _get_or_expire(self, key: str) -> Record | None:
        record = self._records.get(key)
        if record is None or not self._has_expired(key):
            return record
        self._expire(key, record)
        return None

    def _expire(self, key: str, record: Record) -> None:
        self._expired[record.entry.family] += 1
        self._end(key, record, Ended.EXPIRED)

    def _store(self, refused: Mapping[str, Refusal], entries: Mapping[str, Entry]) -> StoreResult:
        found = dict(refused)
        now_s = self._clock()
        for key, entry in entries.items():
            if key not in found and not self._put(key, entry, now_s):
                found[key] = Refusal.TOO_LARGE
        self._trim_deadlines()
        return StoreResult(
            refused=found,
            as_of=self._guard.take_ticket(),
            provable=frozenset(
                [key for key, entry in entries.items() if entry.epoch != "" and key not in found]
            ),
            evicted=_drain(self._evicted),
            evicted_for_bytes=_drain(self._evicted_for_bytes),
            expired=_drain(self._expired),
        )

    def _put(self, key: str, entry: Entry, now_s: float) -> bool:
        """Store an entry, room for it being made; return whether it is not too large."""
        family, payload, tags = entry.family, entry.payload, entry.tags
        cost = compute_cost(key, payload, tags)
        if cost > self._max_bytes_of_one:
            return False
        self._clear_place(key, cost)
        # What Django's own `_set` does, which would ask for the time anew.
        self._cache[key] = payload
        self._cache.move_to_end(key, last=False)
        self._entry_bytes += cost
        self._stamp += 1
        expires_s = now_s + entry.ttl_s
        self._set_deadline(key, expires_s)
        self._records[key] = Record(entry, self._stamp, now_s, expires_s, now_s + entry.keep_s)
        self._entries[family] += 1
        self._bytes[family] += len(payload)
        self._tags.add(key, tags)
        return True

    def _invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        self._guard.mark(tags, keys)
        return self._remove(self._tags.find_keys(tags).union(keys))

    def _remove(self, keys: Collection[str]) -> ByFamily:
        removed: Counter[str] = Counter()
        for key in keys:
            record = self._get_or_expire(key)
            if record is not None:
                removed[record.entry.family] += 1
                self._end(key, record, Ended.INVALIDATED)
        return dict(removed)

    def _sweep(self) -> None:
        """Drop what has expired. A deadline whose entry was replaced or dropped is skipped; that of
        an entry that is proven fresh moves to where its proof lapses."""
        now_s = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now_s:
            at_s, key = heapq.heappop(self._deadlines)
            if self._expire_info.get(key) == at_s:
                record = self._records.get(key)
                if record is not None:
                    live_until_s = record.live_until_s(self._guard.proof)
                    if live_until_s > now_s:
                        self._set_deadline(key, live_until_s)
                        continue
                    self._expired[record.entry.family] += 1
                self._end(key, record, Ended.EXPIRED)

    def _set(self, key: str, value: bytes, timeout: float | None = DEFAULT_TIMEOUT) -> None:
        cost = compute_cost(key, value, ())
        if cost > self._max_bytes_of_one:
            return
        self._clear_place(key, cost)
        # LocMemCache.get_backend_timeout takes whole and broken seconds alike.
        super()._set(key, value, timeout)  # type: ignore[misc]  # the stubs leave it out
        self._entry_bytes += cost
        self._plain_costs[key] = cost
        expires_at_s = self._expire_info[key]
        if expires_at_s is not None:
            self._set_deadline(key, expires_at_s)
        self._trim_deadlines()

    def _clear_place(self, key: str, cost: int) -> None:
        """End the entry that has this key, and make room for the next."""
        if key in self._cache:
            self._end(key, self._records.get(key), Ended.REPLACED)
        if not self._has_room(cost):
            self._make_room(cost)

    def _trim_deadlines(self) -> None:
        """Forget the deadlines of what is gone, where they are many."""
        if len(self._deadlines) > len(self._cache) * 5 // 4 + _SLACK:
            self._deadlines = [(at, key) for key, at in self._expire_info.items() if at is not None]
            heapq.heapify(self._deadlines)

    def _set_deadline(self, key: str, at_s: float) -> None:
        self._expire_info[key] = at_s
        heapq.heappush(self._deadlines, (at_s, key))

    def _end(self, key: str, record: Record | None, cause: Ended) -> None:
        """Drop an entry, and note how it ended and how old it came to be."""
        if record is not None and len(self._ended) < MAX_TOLD_PER_STEP:
            # Nobody was served one for longer than its time, however late it is dropped.
            until_s = min(self._clock(), record.live_until_s(self._guard.proof))
            age_s = until_s - record.stored_at_s
            self._ended.append(Ending(key, record.entry.family, cause, age_s))
        self._delete(key)

    def _delete(self, key: str) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            self._entry_bytes -= self._plain_costs.pop(key, 0)
        else:
            entry = record.entry
            self._entry_bytes -= compute_cost(key, entry.payload, entry.tags)
            self._entries[entry.family] -= 1
            self._bytes[entry.family] -= len(entry.payload)
            self._tags.discard(key, entry.tags)
        return bool(super()._delete(key))  # type: ignore[misc]  # the stubs leave it out

    def _has_expired(self, key: str) -> bool:
        record = self._records.get(key)
        if record is not None:
            return record.live_until_s(self._guard.proof) <= self._clock()
        expires_at_s = self._expire_info.get(key, -1)
        return expires_at_s is not None and expires_at_s <= self._clock()

    def _make_room(self, cost: int) -> None:
        """Make room for one more entry, so that Django finds nothing to cull."""
        self._sweep()
        while not self._has_room(cost):
            oldest = next(reversed(self._cache))
            record = self._records.get(oldest)
            if record is not None:
                self._evicted[record.entry.family] += 1
                if len(self._cache) < self.max_entries:
                    self._evicted_for_bytes[record.entry.family] += 1
            self._end(oldest, record, Ended.EVICTED)

    def _has_room(self, cost: int) -> bool:
        return (
            len(self._cache) < self.max_entries
            and self._entry_bytes + cost <= self._max_entry_bytes
        )


def _drain(counter: Counter[str]) -> ByFamily:
    counted = dict(counter)
    counter.clear()
    return counted
