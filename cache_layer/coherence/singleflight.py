"""One load per key: readers who miss the same key at the same time share one load.

The load runs on a loader thread, so a reader who gives up ends it for nobody else; with Redis the
other processes wait for it as long as its lease lives. A result may be shared only with those who
came while it was still current: each finished load carries the ticket as of which its result is
known to be current, and whoever holds a later ticket loads again. Errors go to those waiting and
are then forgotten. A load has a rank, and no reader waits for one that goes after its own. Nothing
is ever queued: with all loader threads busy, or on one of them, a load runs where it was asked for,
so loads within loads cannot wait for a thread that waits for them.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cache_layer.backends.base import ANY_AGE, AcceptedAge, Lookup, Refusal, Ticket
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.counters import Count, Counters, LoadOutcome
from cache_layer.entries.entries import HeldEntry, LoadedValue
from cache_layer.entries.families import Family, LoadResult
from cache_layer.entries.keys import Key
from cache_layer.errors import BackendUnavailable, LoadFailed

logger = logging.getLogger(__name__)

LEASE_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Absent:
    """The truth has no such thing."""


LoaderResult = LoadedValue[Any] | Absent | Exception
KeyResult = LoaderResult | HeldEntry


class Flight:
    """Keys that are loaded together: how each has ended so far, and as of which ticket its result
    is current; it has none where the cache could not tell. One lock for all of them: one for each
    of a hundred keys costs more than their entries do."""

    __slots__ = ("_told", "as_of", "keys", "rank", "results")

    def __init__(self, keys: Sequence[Key], rank: int) -> None:
        self.keys = keys
        self.rank = rank
        self.results: dict[Key, KeyResult] = {}
        self.as_of: dict[Key, Ticket] = {}
        self._told = threading.Condition()

    def list_unfinished(self) -> list[Key]:
        return [key for key in self.keys if key not in self.results]

    def finish(self, results: Mapping[Key, KeyResult], as_of: Mapping[Key, Ticket]) -> None:
        """Tell those who wait how these keys have ended."""
        # First, as results are looked for without the lock. A load may bring more than it was asked
        # for, and what has ended before is no newer for it.
        self.as_of.update({key: as_of[key] for key in results if key in as_of})
        self.results.update(results)
        with self._told:
            self._told.notify_all()

    def await_ends(self, keys: Sequence[Key], timeout_s: float) -> dict[Key, KeyResult]:
        """Return how these keys have ended, without those that have not within so many seconds."""
        results = self.results
        if not all(map(results.__contains__, keys)):
            with self._told:
                self._told.wait_for(lambda: all(map(results.__contains__, keys)), timeout_s)
        return {key: results[key] for key in keys if key in results}


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load: entries of this family, in this context. An entry that turns out to be there
    already will do, if its `age` is accepted. Those of a lower `rank` go first.
    `version` is that of the family's entries here."""

    family: Family[Any, Any]
    version: str
    context: Any
    age: AcceptedAge
    rank: int

    def lease_of(self, key: Key) -> str:
        """Return the name of a key's lease: of this rank's own, and of this version's, since nobody
        can use what another release loads."""
        return f"{key.text} {self.rank} {self.version}"


@dataclass(frozen=True, slots=True)
class AwaitedLoads:
    """The loads a reader waits for: those it started, and those of others it joined, by key."""

    started: Flight
    joined: Mapping[Key, Flight]


class SingleFlight:
    """The loads under way in one process. `threads` bounds the loader threads, which start at first
    use; `lease_s` is how long a load of another process is waited for. Loads of `ahead_rank`
    and above are stored as loaded ahead of any reader."""

    def __init__(
        self,
        *,
        guarded_store: GuardedStore,
        counters: Counters,
        threads: int,
        lease_s: float,
        ahead_rank: int = sys.maxsize,
    ) -> None:
        self._guarded_store = guarded_store
        self._counters = counters
        self._lease_s = lease_s
        self._ahead_rank = ahead_rank
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._pending: dict[Key, Flight] = {}
        self._idle_threads = threading.Semaphore(threads)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cache-loader")
        self._thread_state = threading.local()
        self._closed = threading.Event()

    def join_or_start(
        self,
        family: Family[Any, Any],
        keys: Sequence[Key],
        context: Any,
        *,
        age: AcceptedAge = ANY_AGE,
        rank: int = 0,
    ) -> AwaitedLoads:
        """Join the loads under way of these keys and start one load for all the rest, and for those
        whose load goes after one of this `rank`. An entry that turns out to be there already is
        used where its `age` is accepted."""
        with self._lock:
            pending = self._pending
            joined = {
                key: flight
                for key in keys
                if (flight := pending.get(key)) is not None and flight.rank <= rank
            }
            started = Flight([key for key in keys if key not in joined], rank)
            pending.update(dict.fromkeys(started.keys, started))
        self._counters.add(Count.SHARED_LOADS, family.name, len(joined))
        if started.keys:
            version = self._guarded_store.version_of(family)
            request = LoadRequest(family, version, context, age, rank)
            self._start(lambda: self._load_or_await_others(request, started), started)
        return AwaitedLoads(started, joined)

    def close(self) -> None:
        """Stop waiting for other processes and end the threads once their loads have ended."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=False)

    def _start(self, load: Callable[[], None], flight: Flight) -> None:
        nested = getattr(self._thread_state, "loading", False)
        if nested or not self._idle_threads.acquire(blocking=False):
            self._finish_after(load, flight)
            return
        run = contextvars.copy_context().run
        try:
            self._pool.submit(run, self._run_on_loader_thread, load, flight)
        except RuntimeError:  # the pool is shut: the process is ending, the reader is still served
            self._idle_threads.release()
            self._finish_after(load, flight)

    def _run_on_loader_thread(self, load: Callable[[], None], flight: Flight) -> None:
        self._thread_state.loading = True
        try:
            self._finish_after(load, flight)
        finally:
            self._idle_threads.release()

    def _finish_after(self, load: Callable[[], None], flight: Flight) -> None:
        """Run `load`; fail for its waiters what it leaves unfinished, whatever happens to it."""
        try:
            load()
        except Exception as error:  # noqa: BLE001 - handed to those who wait for it
            self._fail_unfinished(flight, error)
        finally:
            self._fail_unfinished(flight, LoadFailed("The load ended without an answer."))

    def _fail_unfinished(self, flight: Flight, error: Exception) -> None:
        self._finish(flight, dict.fromkeys(flight.list_unfinished(), error), {})

    def _finish(
        self, flight: Flight, results: Mapping[Key, KeyResult], as_of: Mapping[Key, Ticket]
    ) -> None:
        """Tell those who wait how these keys of a flight have ended."""
        if not results:
            return
        # Off the table first: whoever comes now must not join a load that has finished.
        with self._lock:
            for key in results:
                if self._pending.get(key) is flight:
                    del self._pending[key]
        flight.finish(results, as_of)

    def _load_or_await_others(self, request: LoadRequest, flight: Flight) -> None:
        """Load each key in the one process that has its lease; the others wait for its entry."""
        if not self._guarded_store.backend.shared:
            self._load_and_store(request, flight, flight.keys)
            return
        unfinished = flight.list_unfinished()
        until_s = self._guarded_store.clock() + self._lease_s
        while unfinished:
            give_up = self._guarded_store.clock() >= until_s
            to_load = self._claim_leases(request, unfinished, give_up=give_up)
            try:
                if to_load:
                    self._load_and_store(request, flight, to_load)
            finally:
                self._release_leases(request, to_load)
            unfinished = flight.list_unfinished()
            if unfinished:
                self._closed.wait(LEASE_POLL_S)
                unfinished = self._finish_from_cache(request, flight, unfinished)

    def _claim_leases(
        self, request: LoadRequest, keys: Sequence[Key], *, give_up: bool
    ) -> list[Key]:
        """Return the keys to load now: those whose lease is ours, or all of them once others have
        been waited for as long as a lease lives, or while the backend cannot say."""
        if give_up or self._closed.is_set() or not self._guarded_store.prepare_read():
            return list(keys)
        try:
            claimed = self._guarded_store.backend.claim_leases(
                [request.lease_of(key) for key in keys], self._owner
            )
        except BackendUnavailable:
            return list(keys)
        return [key for key in keys if request.lease_of(key) in claimed]

    def _release_leases(self, request: LoadRequest, keys: Sequence[Key]) -> None:
        leases = [request.lease_of(key) for key in keys]
        try:
            if leases:
                self._guarded_store.backend.release_leases(leases, self._owner)
        except BackendUnavailable:
            logger.debug("Leases were left to end by themselves")

    def _finish_from_cache(
        self, request: LoadRequest, flight: Flight, keys: Sequence[Key]
    ) -> list[Key]:
        """Finish the keys that another process has stored meanwhile; return the rest."""
        try:
            found = self._guarded_store.look_up(keys).young_enough(request.age)
        except BackendUnavailable:
            return list(keys)
        return self._finish_found(found, flight, keys)

    def _finish_found(self, found: Lookup, flight: Flight, keys: Sequence[Key]) -> list[Key]:
        if not found.entries:
            return list(keys)
        entries = {key: found.entries[key.text] for key in keys if key.text in found.entries}
        self._finish(flight, entries, dict.fromkeys(entries, found.ticket))
        return [key for key in keys if key not in entries]

    def _load_and_store(self, request: LoadRequest, flight: Flight, keys: Sequence[Key]) -> None:
        """Look up again what may have been stored between the reader's look-up and this load; load
        the rest, store it where it is still current, and finish all of it."""
        family = request.family
        ticket: Ticket | None = None
        if self._guarded_store.prepare_read():
            try:
                found = self._guarded_store.look_up(keys).young_enough(request.age)
            except BackendUnavailable:
                logger.debug("Loading %s without a ticket", family.name)
            else:
                ticket = found.ticket
                keys = self._finish_found(found, flight, keys)
        if not keys:
            return
        logger.debug("cache load: %s, %d entries", family.name, len(keys))
        try:
            load_result = family.load_many(keys, request.context)
        except Exception:
            self._counters.add(Count.LOADS, family.name, len(keys), LoadOutcome.FAILED)
            raise
        results = results_by_key(load_result, keys)
        self._count_loads(family, results)
        as_of, provable = self._store_or_refuse(request, load_result, ticket)
        self._finish(flight, _with_epochs(results, ticket, provable), as_of)

    def _count_loads(self, family: Family[Any, Any], results: Mapping[Key, KeyResult]) -> None:
        others = [result for result in results.values() if not isinstance(result, LoadedValue)]
        absent = sum(isinstance(result, Absent) for result in others)
        failed = sum(isinstance(result, Exception) for result in others)
        loaded = len(results) - absent - failed
        self._counters.add(Count.LOADS, family.name, loaded, LoadOutcome.LOADED)
        self._counters.add(Count.LOADS, family.name, absent, LoadOutcome.ABSENT)
        self._counters.add(Count.LOADS, family.name, failed, LoadOutcome.FAILED)

    def _store_or_refuse(
        self, request: LoadRequest, load_result: LoadResult[Any], ticket: Ticket | None
    ) -> tuple[dict[Key, Ticket], frozenset[str]]:
        """Store what may be stored and count the rest as refused; return the ticket as of which
        each key's result is known to be current, and the texts of the keys that are provable."""
        family, loaded, absent = request.family, load_result.loaded, load_result.absent
        if ticket is None:
            self._guarded_store.count_refused(family, len(loaded), Refusal.UNAVAILABLE)
            return {}, frozenset()
        as_of = dict.fromkeys((*loaded, *absent), ticket)
        if load_result.failed:
            self._guarded_store.count_refused(family, len(loaded), Refusal.PARTIAL)
            return as_of, frozenset()
        if loaded:
            stored = self._guarded_store.store(
                ticket, family, loaded, ahead=request.rank >= self._ahead_rank
            )
            accepted = (key for key in loaded if key.text not in stored.refused)
            as_of.update(dict.fromkeys(accepted, stored.as_of))
            return as_of, stored.provable
        return as_of, frozenset()


def _with_epochs(
    results: Mapping[Key, LoaderResult], ticket: Ticket | None, provable: frozenset[str]
) -> dict[Key, LoaderResult]:
    """Return the results, each value with the epoch it was stored with: whoever builds an entry of
    them must know of those that no proof covers."""
    epoch = "" if ticket is None else ticket.epoch
    return {
        key: result.stored_in(epoch if key.text in provable else "")
        if isinstance(result, LoadedValue)
        else result
        for key, result in results.items()
    }


def results_by_key(load_result: LoadResult[Any], keys: Sequence[Key]) -> dict[Key, LoaderResult]:
    """Return the result for each key asked for; one the loader did not mention has failed."""
    loaded, failed = load_result.loaded, load_result.failed
    return {
        key: loaded[key]
        if key in loaded and key not in failed
        else _end_without_value(load_result, key)
        for key in keys
    }


def _end_without_value(load_result: LoadResult[Any], key: Key) -> Absent | Exception:
    if key in load_result.failed:
        return load_result.failed[key]
    if key in load_result.absent:
        return Absent()
    return LoadFailed("The loader said nothing about a key it was asked for.")
