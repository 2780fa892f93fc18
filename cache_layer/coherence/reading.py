"""Reading through the cache: what is held is returned, the rest is loaded, stored and returned.

Many keys are one look-up, one load of the misses and one store. Absences and errors are returned
too, but never stored. With the cache off, broken, with an invalidation pending, or for a student
outside the rollout, the loader is called directly; a fault of the cache never fails a read.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from cache_layer.backends.base import ANY_AGE, AcceptedAge, Lookup, Ticket
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.coherence.singleflight import (
    Absent,
    Flight,
    KeyResult,
    LoaderResult,
    SingleFlight,
    results_by_key,
)
from cache_layer.config import CacheConfig
from cache_layer.counters import Count, Counters
from cache_layer.endings import Endings, MissReason
from cache_layer.entries.entries import MISS, HeldEntry, LoadedValue, Miss, Stamp, join_epochs
from cache_layer.entries.families import Family
from cache_layer.entries.keys import Key
from cache_layer.entries.rollout import reads_through_cache
from cache_layer.errors import BackendUnavailable, WaitedTooLong

logger = logging.getLogger(__name__)

V = TypeVar("V")
C = TypeVar("C")


class CacheStatus(StrEnum):
    """How a read was answered, as `Server-Timing` says it."""

    HIT = "hit"  # all from the cache
    MISS = "miss"  # some of it loaded
    BYPASS = "bypass"  # loaded, the cache not asked
    OFF = "off"  # loaded, there is no cache


@dataclass(frozen=True)
class ReadManyResult(Generic[V]):
    """The answer for many keys; each key asked for is in exactly one of found, absent and failed.

    Whoever builds an entry from it passes on: `tags`, those of everything found; `age_s`, how long
    ago the oldest of it was stored; `ttl_left_s`, the time to live that is left where a part has
    less than its family's entries; `keep_s`, for how long it may be kept at most, whatever proves
    it fresh; and `epoch`, that of all its parts, see `LoadedValue`. `needs_proof` says whether a
    part was accepted only because the change feed proves it fresh; `unproven_s`, how long ago the
    oldest part was stored that has no epoch. `stamps` are those of what was held, for
    `Cache.holds`.
    """

    found: Mapping[Key, V]
    cache_status: CacheStatus
    absent: frozenset[Key] = frozenset()
    failed: Mapping[Key, Exception] = field(default_factory=lambda: MappingProxyType({}))
    tags: frozenset[str] = frozenset()
    age_s: float = 0.0
    ttl_left_s: float = math.inf
    keep_s: float = math.inf
    epoch: str | None = None
    needs_proof: bool = False
    unproven_s: float = 0.0
    stamps: Mapping[Key, Stamp] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ReadResult(Generic[V]):
    """The answer for one key; MISS when the truth has no such thing."""

    value: V | Miss
    cache_status: CacheStatus
    tags: frozenset[str] = frozenset()


class _ResultBuilder:
    """Gathers the results of many keys of a family whose entries live `ttl_s`; `generation` is that
    of what is held."""

    def __init__(self, ttl_s: float, age: AcceptedAge = ANY_AGE, generation: str = "") -> None:
        self._ttl_s = ttl_s
        self._age = age
        self._generation = generation
        self.found: dict[Key, Any] = {}
        self.absent: set[Key] = set()
        self.failed: dict[Key, Exception] = {}
        self.tags: set[str] = set()
        self.age_s = 0.0
        self.ttl_left_s = math.inf
        self.keep_s = math.inf
        self.epoch: str | None = None
        self.needs_proof = False
        self.unproven_s = 0.0
        self.outlived = 0
        self.stamps: dict[Key, Stamp] = {}
        self.loaded_ahead = 0

    def add_held(self, key: Key, value: Any, held: HeldEntry) -> None:
        """Add the value of an entry."""
        self.found[key] = value
        self.stamps[key] = (self._generation, held.stamp)
        # What the key is called is no part of what the value was built from.
        self.tags |= held.entry.tags - key.tags if key.tags else held.entry.tags
        self.age_s = max(self.age_s, held.age_s)
        if held.entry.ttl_s < self._ttl_s:
            self.ttl_left_s = min(self.ttl_left_s, held.ttl_left_s)
        self.epoch = join_epochs(self.epoch, held.entry.epoch)
        self.keep_s = min(self.keep_s, held.keep_left_s)
        if held.entry.epoch == "":
            self.unproven_s = max(self.unproven_s, held.age_s)
        self.loaded_ahead += held.entry.ahead
        if held.proven:
            self.needs_proof = self.needs_proof or self._age.needs_proof(held)
            self.outlived += held.ttl_left_s <= 0

    def add_all(self, results: Mapping[Key, LoaderResult]) -> None:
        """Add what loads brought."""
        for key, result in results.items():
            if isinstance(result, LoadedValue):
                self.found[key] = result.value
                self.tags |= result.tags
                if result.epoch != self.epoch:
                    self.epoch = join_epochs(self.epoch, result.epoch)
                if result.keep_s is not None:
                    self.keep_s = min(self.keep_s, result.keep_s)
                if result.ttl_s is not None:
                    self.ttl_left_s = min(self.ttl_left_s, result.ttl_s)
            elif isinstance(result, Absent):
                self.absent.add(key)
            else:
                self.failed[key] = result

    def build(self, cache_status: CacheStatus) -> ReadManyResult[Any]:
        return ReadManyResult(
            found=self.found,
            cache_status=cache_status,
            absent=frozenset(self.absent),
            failed=self.failed,
            tags=frozenset(self.tags),
            age_s=self.age_s,
            ttl_left_s=self.ttl_left_s,
            keep_s=self.keep_s,
            epoch=self.epoch,
            needs_proof=self.needs_proof,
            unproven_s=self.unproven_s,
            stamps=self.stamps,
        )


@dataclass(frozen=True, slots=True)
class _ReadRequest:
    """What one reader wants: the loader's context, the ticket taken as it came, until when it
    waits, how old an entry it accepts, and which loads it waits for."""

    family: Family[Any, Any]
    context: Any
    ticket: Ticket
    until_s: float
    age: AcceptedAge
    rank: int


class Reader:
    """Reads families through the cache. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        *,
        guarded_store: GuardedStore,
        single_flight: SingleFlight,
        config: CacheConfig,
        counters: Counters,
        endings: Endings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endings = endings
        self._guarded_store = guarded_store
        self._single_flight = single_flight
        self._enabled = config.enabled
        self._percentage = config.rollout_percentage
        self._ahead_rank = config.ahead_rank
        self._counters = counters
        self._clock = clock

    def read(
        self,
        family: Family[V, C],
        key: Key,
        context: C,
        *,
        wait_s: float,
        subject: str | None = None,
    ) -> ReadResult[V]:
        """Return one value, MISS where there is none; raises what its load raised, or
        WaitedTooLong. For the arguments see `read_many`."""
        result = self.read_many(family, [key], context, wait_s=wait_s, subject=subject)
        if key in result.failed:
            raise result.failed[key]
        return ReadResult(result.found.get(key, MISS), result.cache_status, result.tags)

    def read_many(
        self,
        family: Family[V, C],
        keys: Collection[Key],
        context: C,
        *,
        wait_s: float,
        subject: str | None = None,
        max_age_s: float = math.inf,
        or_proven: bool = False,
        rank: int = 0,
    ) -> ReadManyResult[V]:
        """Return the values of many keys; a key whose load failed or takes longer than `wait_s`
        seconds is in `failed`, nothing is raised for it.

        `context` goes to the loader as it is. The load may serve others and outlive this reader, so
        give it the load's own time limit, not the reader's. `subject` is whose request this is, for
        the rollout; without one the cache is used. What has been held for more than `max_age_s` is
        loaded anew, unless it is proven fresh and that will do (`or_proven`). The loads of readers
        with a lower `rank` go first: none of a higher is joined. Who only reads ahead of others is
        no reader to be counted (see `CacheConfig`).
        """
        wanted = list(dict.fromkeys(keys))
        bypass = self.prepare_or_bypass(subject)
        if bypass is CacheStatus.OFF:
            return self._load_directly(family, wanted, context, CacheStatus.OFF)
        held = self._try_look_up(wanted) if bypass is None else None
        if held is None:
            self._counters.add(Count.BYPASSES, family.name, len(wanted))
            return self._load_directly(family, wanted, context, CacheStatus.BYPASS)
        age = AcceptedAge(max_s=max_age_s, or_proven=or_proven)
        builder = _ResultBuilder(family.ttl_s, age, held.ticket.generation)
        found = held.young_enough(age)
        missing = self._add_found(family, builder, wanted, found)
        if rank < self._ahead_rank:
            self._counters.add(Count.HITS, family.name, len(wanted) - len(missing))
            self._counters.add(Count.PROVEN_HITS, family.name, builder.outlived)
            self._counters.add(Count.AHEAD_HITS, family.name, builder.loaded_ahead)
            self._count_misses(family, missing, held, found)
        logger.debug("cache: %s, %d of %d missed", family.name, len(missing), len(wanted))
        if not missing:
            return builder.build(CacheStatus.HIT)
        until_s = self._clock() + wait_s
        request = _ReadRequest(family, context, found.ticket, until_s, age, rank)
        self._add_loaded(request, builder, missing)
        return builder.build(CacheStatus.MISS)

    def prepare_or_bypass(self, subject: str | None) -> CacheStatus | None:
        """Do what must come before a read, and return None where reads for `subject` may then use
        the cache. Otherwise return what their status is: OFF without a cache, BYPASS
        outside the rollout or while the cache may not be read."""
        if not self._enabled:
            return CacheStatus.OFF
        rolled_out = subject is None or reads_through_cache(subject, self._percentage)
        usable = rolled_out and self._guarded_store.prepare_read()
        return None if usable else CacheStatus.BYPASS

    def _count_misses(
        self, family: Family[Any, Any], missing: Sequence[Key], held: Lookup, found: Lookup
    ) -> None:
        """Count what is missing by its reason: of what is `held`, not all was `found` to be young
        enough, and of that not all could be read."""
        unheld = [key.text for key in missing if key.text not in held.entries]
        by_reason = Counter(self._endings.reasons_of(unheld))
        if len(unheld) < len(missing):
            held_keys = [key.text for key in missing if key.text in held.entries]
            too_old = sum(key not in found.entries for key in held_keys)
            by_reason[MissReason.TOO_OLD] += too_old
            by_reason[MissReason.UNREADABLE] += len(held_keys) - too_old
        for reason, number in by_reason.items():
            self._counters.add(Count.MISSES, family.name, number, reason)

    def _try_look_up(self, keys: Sequence[Key]) -> Lookup | None:
        """Return what is held, or None where the cache cannot be asked."""
        try:
            return self._guarded_store.look_up(keys)
        except BackendUnavailable:
            return None  # counted and logged where it happened

    def _add_found(
        self, family: Family[Any, Any], builder: _ResultBuilder, keys: Sequence[Key], found: Lookup
    ) -> list[Key]:
        """Add what is held to the result; return the keys still missing."""
        if not found.entries:
            return list(keys)
        missing = []
        for key in keys:
            entry = found.entries.get(key.text)
            if entry is None or not self._add_or_drop(family, builder, key, entry):
                missing.append(key)
        return missing

    def _add_or_drop(
        self, family: Family[Any, Any], builder: _ResultBuilder, key: Key, entry: HeldEntry
    ) -> bool:
        """Add an entry to the result and return True; False for one that cannot be read."""
        value = self._guarded_store.read_entry(family, key, entry)
        if value is MISS:
            return False
        builder.add_held(key, value, entry)
        return True

    def _add_loaded(
        self, request: _ReadRequest, builder: _ResultBuilder, missing: Sequence[Key]
    ) -> None:
        """Load what is missing and add it to the result.

        What another reader's load brought may have been out of date when this reader came, or be
        too old for it; then it is loaded again. Where the cache could not tell, this reader loads
        alone: if each started a load that the next one joins, the last would wait for them all.
        """
        unshareable: list[Key] = []
        while missing:
            loads = self._single_flight.join_or_start(
                request.family,
                missing,
                request.context,
                age=request.age,
                rank=request.rank,
            )
            ended = self._await_ends(request, loads.started, loads.started.keys)
            again: list[Key] = []
            for key, flight in loads.joined.items():
                result = self._await_ends(request, flight, [key])[key]
                as_of = flight.as_of.get(key)
                if _may_share(result, as_of, request):
                    ended[key] = result
                else:
                    (unshareable if as_of is None else again).append(key)
            again += self._add_ended(request.family, builder, ended)
            missing = again
        if unshareable:
            builder.add_all(self._call_loader(request.family, unshareable, request.context))

    def _await_ends(
        self, request: _ReadRequest, flight: Flight, keys: Sequence[Key]
    ) -> dict[Key, KeyResult]:
        """Return how the loads of these keys have ended; those that have not in time, failed."""
        ended = flight.await_ends(keys, max(0.0, request.until_s - self._clock()))
        if len(ended) < len(keys):
            late = WaitedTooLong(f"A load of {request.family.name} takes too long.")
            ended |= {key: late for key in keys if key not in ended}
        return ended

    def _add_ended(
        self,
        family: Family[Any, Any],
        builder: _ResultBuilder,
        ended: Mapping[Key, KeyResult],
    ) -> list[Key]:
        """Add what came of loads to the result; return the keys of entries that cannot be read."""
        held = {key: entry for key, entry in ended.items() if isinstance(entry, HeldEntry)}
        builder.add_all(
            {key: result for key, result in ended.items() if not isinstance(result, HeldEntry)}
        )
        return [
            key for key, entry in held.items() if not self._add_or_drop(family, builder, key, entry)
        ]

    def _load_directly(
        self, family: Family[V, C], keys: Sequence[Key], context: C, cache_status: CacheStatus
    ) -> ReadManyResult[V]:
        """Return what the loader says, stored nowhere; it runs on the reader's own time."""
        builder = _ResultBuilder(family.ttl_s)
        builder.add_all(self._call_loader(family, keys, context))
        return cast(ReadManyResult[V], builder.build(cache_status))

    def _call_loader(
        self, family: Family[Any, Any], keys: Sequence[Key], context: Any
    ) -> Mapping[Key, LoaderResult]:
        try:
            return results_by_key(family.load_many(keys, context), keys)
        except Exception as error:  # noqa: BLE001 - returned as each key's failure
            return dict.fromkeys(keys, error)


def _may_share(result: KeyResult, as_of: Ticket | None, request: _ReadRequest) -> bool:
    """Say whether what another's load brought may be given to this reader."""
    if isinstance(result, Exception):
        return True  # no value, so none that is out of date
    if isinstance(result, HeldEntry) and not request.age.accepts(result):
        return False
    return as_of is not None and as_of.covers(request.ticket)
