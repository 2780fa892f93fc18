"""Reading through the cache: what is held is returned, the rest is loaded, stored and returned.

Many keys are one look-up, one load of the misses and one store. Absences and errors are answers too,
but are never kept. With the cache off, broken, behind on invalidations, or for a student outside the
rollout, the answer comes straight from the loader; a fault of the cache is never the reader's.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from cache_layer.backends.base import Lookup, Ticket
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.coherence.singleflight import (
    Absent,
    Flight,
    Landing,
    Result,
    SingleFlight,
    results_of,
)
from cache_layer.config import CacheConfig
from cache_layer.counters import Cause, Count, Counters
from cache_layer.entries.entries import MISS, HeldEntry, LoadedValue, Miss
from cache_layer.entries.families import Family
from cache_layer.entries.keys import Key
from cache_layer.entries.rollout import reads_through_cache
from cache_layer.errors import BackendUnavailable, UnreadableEntry, WaitedTooLong

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

    `tags` are those of everything found, and `age_s` is how long ago the oldest of it was stored:
    whoever builds an entry from it passes them on.
    """

    found: Mapping[Key, V]
    cache_status: CacheStatus
    absent: frozenset[Key] = frozenset()
    failed: Mapping[Key, Exception] = field(default_factory=lambda: MappingProxyType({}))
    tags: frozenset[str] = frozenset()
    age_s: float = 0.0


@dataclass(frozen=True)
class ReadResult(Generic[V]):
    """The answer for one key; MISS when the truth has no such thing."""

    value: V | Miss
    cache_status: CacheStatus
    tags: frozenset[str] = frozenset()


class _Answer:
    """What is known so far of many keys."""

    def __init__(self) -> None:
        self.found: dict[Key, Any] = {}
        self.absent: set[Key] = set()
        self.failed: dict[Key, Exception] = {}
        self.tags: set[str] = set()
        self.age_s = 0.0

    def take(self, key: Key, result: Result) -> None:
        """Add one result; raises UnreadableEntry."""
        match result:
            case HeldEntry():
                self.found[key] = result.value()
                self.tags |= result.entry.tags
                self.age_s = max(self.age_s, result.age_s)
            case LoadedValue():
                self.found[key] = result.value
                self.tags |= result.tags
            case Absent():
                self.absent.add(key)
            case Exception():
                self.failed[key] = result

    def reads(self, cache_status: CacheStatus) -> ReadManyResult[Any]:
        return ReadManyResult(
            found=self.found,
            cache_status=cache_status,
            absent=frozenset(self.absent),
            failed=self.failed,
            tags=frozenset(self.tags),
            age_s=self.age_s,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one reader wants, since when, until when, and how old it may be."""

    family: Family[Any, Any]
    context: Any
    came: Ticket
    until_s: float
    max_age_s: float


class Reader:
    """Reads families through the cache. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        *,
        guarded_store: GuardedStore,
        single_flight: SingleFlight,
        config: CacheConfig,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guarded_store = guarded_store
        self._single_flight = single_flight
        self._enabled = config.enabled
        self._percentage = config.rollout_percentage
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
        reads = self.read_many(family, [key], context, wait_s=wait_s, subject=subject)
        if key in reads.failed:
            raise reads.failed[key]
        return ReadResult(reads.found.get(key, MISS), reads.cache_status, reads.tags)

    def read_many(
        self,
        family: Family[V, C],
        keys: Collection[Key],
        context: C,
        *,
        wait_s: float,
        subject: str | None = None,
        max_age_s: float = math.inf,
    ) -> ReadManyResult[V]:
        """Return the values of many keys; a key whose load failed or takes longer than `wait_s`
        seconds is in `failed`, nothing is raised for it.

        `context` goes to the loader as it is. The load may serve others and outlive this reader, so
        give it the load's own time limit, not the reader's. `subject` is whose request this is, for
        the rollout; without one the cache is used. What has been held for more than `max_age_s` is
        loaded anew.
        """
        wanted = list(dict.fromkeys(keys))
        around = self.way_around(subject)
        if around is CacheStatus.OFF:
            return self._load(family, wanted, context, CacheStatus.OFF)
        first = self._look(wanted, max_age_s) if around is None else None
        if first is None:
            self._counters.add(Count.BYPASSES, family.name, len(wanted))
            return self._load(family, wanted, context, CacheStatus.BYPASS)
        answer = _Answer()
        missing = self._take_held(family, answer, wanted, first)
        self._counters.add(Count.HITS, family.name, len(wanted) - len(missing))
        self._counters.add(Count.MISSES, family.name, len(missing))
        logger.debug("cache: %s, %d of %d missed", family.name, len(missing), len(wanted))
        if not missing:
            return answer.reads(CacheStatus.HIT)
        until_s = self._clock() + wait_s
        asked = _Asked(family, context, first.ticket, until_s, max_age_s)
        self._fill(asked, answer, missing)
        return answer.reads(CacheStatus.MISS)

    def way_around(self, subject: str | None) -> CacheStatus | None:
        """Say how reads for `subject` go past the cache now: OFF without a cache, BYPASS outside the
        rollout or while the cache may not be asked, None when they do not."""
        if not self._enabled:
            return CacheStatus.OFF
        rolled_out = subject is None or reads_through_cache(subject, self._percentage)
        return None if rolled_out and self._guarded_store.deliver_pending() else CacheStatus.BYPASS

    def _look(self, keys: Sequence[Key], max_age_s: float) -> Lookup | None:
        """Return what is held, or None where the cache cannot be asked."""
        try:
            return self._guarded_store.look_up(keys).younger_than(max_age_s)
        except BackendUnavailable:
            return None  # counted and logged where it happened

    def _take_held(
        self, family: Family[Any, Any], answer: _Answer, keys: Sequence[Key], found: Lookup
    ) -> list[Key]:
        """Take what is held into the answer; return the keys still missing."""
        missing = []
        for key in keys:
            held = found.entries.get(key.text)
            if held is None or not self._readable(family, answer, key, held):
                missing.append(key)
        return missing

    def _readable(
        self, family: Family[Any, Any], answer: _Answer, key: Key, result: HeldEntry
    ) -> bool:
        try:
            answer.take(key, result)
        except UnreadableEntry:
            self._counters.add(Count.ERRORS, family.name, detail="unreadable")
            logger.warning("An entry of %s cannot be read; it is dropped", family.name)
            self._guarded_store.invalidate((), [key.text], cause=Cause.UNREADABLE)
            return False
        return True

    def _fill(self, asked: _Asked, answer: _Answer, missing: Sequence[Key]) -> None:
        """Load what is missing. What another reader's flight brought may be from before this one
        came and be out of date since, or too old for it; then it is asked for again. Where the cache could not even
        tell, the reader loads alone, or each of many would wait for all before it."""
        alone: list[Key] = []
        while missing:
            boarding = self._single_flight.board(
                asked.family, missing, asked.context, max_age_s=asked.max_age_s
            )
            again: list[Key] = []
            for key in missing:
                own = key in boarding.own
                flight = boarding.own[key] if own else boarding.joined[key]
                landing = self._landed(flight, asked.until_s)
                if landing is None:
                    answer.failed[key] = WaitedTooLong(
                        f"A load of {asked.family.name} takes too long."
                    )
                elif not (own or _may_share(landing, asked)):
                    (alone if landing.as_of is None else again).append(key)
                elif not isinstance(landing.result, HeldEntry):
                    answer.take(key, landing.result)
                elif not self._readable(asked.family, answer, key, landing.result):
                    again.append(key)
            missing = again
        if alone:
            for key, result in self._loaded(asked.family, alone, asked.context).items():
                answer.take(key, result)

    def _landed(self, flight: Flight, until_s: float) -> Landing | None:
        try:
            return flight.future.result(timeout=max(0.0, until_s - self._clock()))
        except FutureTimeout:
            return None

    def _load(
        self, family: Family[V, C], keys: Sequence[Key], context: C, cache_status: CacheStatus
    ) -> ReadManyResult[V]:
        """Return the loader's answer, stored nowhere; it runs on the reader's own time."""
        answer = _Answer()
        for key, result in self._loaded(family, keys, context).items():
            answer.take(key, result)
        return cast(ReadManyResult[V], answer.reads(cache_status))

    def _loaded(
        self, family: Family[Any, Any], keys: Sequence[Key], context: Any
    ) -> Mapping[Key, Result]:
        try:
            return results_of(family.load_many(keys, context), keys)
        except Exception as error:  # noqa: BLE001 - returned as each key's failure
            return dict.fromkeys(keys, error)


def _may_share(landing: Landing, asked: _Asked) -> bool:
    """Say whether a flight's end may be given to somebody who asked so."""
    if isinstance(landing.result, Exception):
        return True  # no value, so none that is out of date
    if isinstance(landing.result, HeldEntry) and landing.result.age_s > asked.max_age_s:
        return False
    return landing.as_of is not None and landing.as_of.covers(asked.came)
