"""One load per key: concurrent misses share one flight.

The load runs on a loader thread, so a reader who gives up takes nobody else down; with Redis the
other processes wait for it as long as its lease lives. A result may be shared only with those who
came while it was still current: each flight says as of which count its result is known to be, and
whoever noted a later one loads again. Errors go to those waiting and are then forgotten. Nothing is
ever queued: with all loader threads busy, or on one of them, a load runs where it was asked for, so
loads within loads cannot wait for a thread that waits for them.
"""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cache_layer.backends.base import Refusal, Ticket
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.counters import Count, Counters
from cache_layer.entries.entries import HeldEntry, LoadedValue
from cache_layer.entries.families import Family, LoadResult
from cache_layer.entries.keys import Key
from cache_layer.errors import BackendUnavailable, LoadFailed

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True, slots=True)
class Absent:
    """The truth has no such thing."""


Result = LoadedValue[Any] | HeldEntry | Absent | Exception


@dataclass(frozen=True, slots=True)
class Landing:
    """How a flight ended: a value, an absence, or an error; and as of when that is current, where
    the cache could tell."""

    result: Result
    as_of: Ticket | None


@dataclass(frozen=True, slots=True)
class Flight:
    """One key being loaded."""

    future: Future[Landing] = field(default_factory=Future)

    def land(self, result: Result, as_of: Ticket | None) -> None:
        self.future.set_result(Landing(result, as_of))


@dataclass(frozen=True, slots=True)
class Order:
    """What a flight is to bring: entries of this family, loaded in this context, or held already and
    not older than `max_age_s`."""

    family: Family[Any, Any]
    context: Any
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Boarding:
    """The flights a reader waits for: those it started, and those of others it joined."""

    own: Mapping[Key, Flight]
    joined: Mapping[Key, Flight]


class SingleFlight:
    """The flights of one process. `threads` bounds the loader threads; they start at first use."""

    def __init__(
        self, *, guarded_store: GuardedStore, counters: Counters, threads: int, lease_s: float
    ) -> None:
        self._guarded_store = guarded_store
        self._counters = counters
        self._lease_s = lease_s
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._flights: dict[Key, Flight] = {}
        self._idle = threading.Semaphore(threads)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cache-loader")
        self._here = threading.local()
        self._closed = threading.Event()

    def board(
        self,
        family: Family[Any, Any],
        keys: Sequence[Key],
        context: Any,
        *,
        max_age_s: float = math.inf,
    ) -> Boarding:
        """Join the flights these keys are on and start one load for all the rest. What turns out to
        be held already is taken where it is not older than `max_age_s`."""
        own: dict[Key, Flight] = {}
        joined: dict[Key, Flight] = {}
        with self._lock:
            for key in keys:
                flight = self._flights.get(key)
                if flight is None:
                    own[key] = self._flights[key] = Flight()
                else:
                    joined[key] = flight
        self._counters.add(Count.SHARED_LOADS, family.name, len(joined))
        if own:
            order = Order(family, context, max_age_s)
            self._start(lambda: self._fly(order, own), own)
        return Boarding(own, joined)

    def close(self) -> None:
        """Stop waiting for other processes and end the threads once their loads have ended."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=False)

    def _start(self, fly: Callable[[], None], flights: Mapping[Key, Flight]) -> None:
        nested = getattr(self._here, "loading", False)
        if nested or not self._idle.acquire(blocking=False):
            self._guarded(fly, flights)
            return
        run = contextvars.copy_context().run
        try:
            self._pool.submit(run, self._on_loader_thread, fly, flights)
        except RuntimeError:  # the pool is shut: the process is ending, the reader is still served
            self._idle.release()
            self._guarded(fly, flights)

    def _on_loader_thread(self, fly: Callable[[], None], flights: Mapping[Key, Flight]) -> None:
        self._here.loading = True
        try:
            self._guarded(fly, flights)
        finally:
            self._idle.release()

    def _guarded(self, fly: Callable[[], None], flights: Mapping[Key, Flight]) -> None:
        """Run a flight so that it ends for every waiter, whatever happens to it."""
        try:
            fly()
        except Exception as error:  # noqa: BLE001 - handed to those who wait for it
            self._land_rest(flights, error)
        finally:
            self._land_rest(flights, LoadFailed("The load ended without an answer."))

    def _land_rest(self, flights: Mapping[Key, Flight], error: Exception) -> None:
        rest = {key: flight for key, flight in flights.items() if not flight.future.done()}
        self._land(rest, dict.fromkeys(rest, error), None)

    def _land(
        self,
        flights: Mapping[Key, Flight],
        results: Mapping[Key, Result],
        as_of: Mapping[Key, Ticket] | Ticket | None,
    ) -> None:
        # Off the table first: whoever comes now must not join a flight that has landed.
        with self._lock:
            for key in results:
                if self._flights.get(key) is flights[key]:
                    del self._flights[key]
        for key, result in results.items():
            current = as_of.get(key) if isinstance(as_of, Mapping) else as_of
            flights[key].land(result, current)

    def _fly(self, order: Order, flights: Mapping[Key, Flight]) -> None:
        if not self._guarded_store.backend.shared:
            self._load(order, flights, list(flights))
            return
        waiting = list(flights)
        until_s = self._guarded_store.clock() + self._lease_s
        while waiting:
            claimed = self._claim(waiting, give_up=self._guarded_store.clock() >= until_s)
            try:
                if claimed:
                    self._load(order, flights, claimed)
            finally:
                self._release(claimed)
            waiting = [key for key in waiting if not flights[key].future.done()]
            if waiting:
                self._closed.wait(SECONDS_BETWEEN_LOOKS)
                waiting = self._land_held(order, flights, waiting)

    def _claim(self, keys: Sequence[Key], *, give_up: bool) -> list[Key]:
        """Return the keys to load now: those whose lease we have, or all once waiting has lasted
        as long as a lease lives, or nobody can say."""
        if give_up or self._closed.is_set() or not self._guarded_store.deliver_pending():
            return list(keys)
        try:
            claimed = self._guarded_store.backend.claim_leases(
                [key.text for key in keys], self._owner
            )
        except BackendUnavailable:
            return list(keys)
        return [key for key in keys if key.text in claimed]

    def _release(self, keys: Sequence[Key]) -> None:
        try:
            if keys:
                self._guarded_store.backend.release_leases([key.text for key in keys], self._owner)
        except BackendUnavailable:
            logger.debug("Leases were left to end by themselves")

    def _land_held(
        self, order: Order, flights: Mapping[Key, Flight], keys: Sequence[Key]
    ) -> list[Key]:
        """Land what another process has stored meanwhile; return the rest."""
        try:
            found = self._guarded_store.look_up(keys).younger_than(order.max_age_s)
        except BackendUnavailable:
            return list(keys)
        held = {key: found.entries[key.text] for key in keys if key.text in found.entries}
        self._land(flights, held, found.ticket)
        return [key for key in keys if key not in held]

    def _load(self, order: Order, flights: Mapping[Key, Flight], keys: Sequence[Key]) -> None:
        """Look again, for what landed between the reader's look and its boarding; load the rest,
        store it where it is still current, and land."""
        family = order.family
        ticket: Ticket | None = None
        if self._guarded_store.deliver_pending():
            try:
                found = self._guarded_store.look_up(keys).younger_than(order.max_age_s)
            except BackendUnavailable:
                logger.debug("Loading %s without a ticket", family.name)
            else:
                ticket = found.ticket
                held = {key: found.entries[key.text] for key in keys if key.text in found.entries}
                self._land(flights, held, ticket)
                keys = [key for key in keys if key not in held]
        if not keys:
            return
        self._counters.add(Count.LOADS, family.name, len(keys))
        logger.debug("cache load: %s, %d entries", family.name, len(keys))
        loads = family.load_many(keys, order.context)
        as_of = self._store(family, loads, ticket)
        self._land(flights, results_of(loads, keys), as_of)

    def _store(
        self, family: Family[Any, Any], loads: LoadResult[Any], ticket: Ticket | None
    ) -> dict[Key, Ticket]:
        """Store what may be stored; return as of when each key's result is known to be current."""
        if ticket is None:
            self._guarded_store.count_refused(family, len(loads.loaded), Refusal.UNAVAILABLE)
            return {}
        as_of = dict.fromkeys((*loads.loaded, *loads.absent), ticket)
        if loads.failed:
            self._guarded_store.count_refused(family, len(loads.loaded), Refusal.PARTIAL)
            return as_of
        if loads.loaded:
            stored = self._guarded_store.store(ticket, family, loads.loaded)
            accepted = (key for key in loads.loaded if key.text not in stored.refused)
            as_of.update(dict.fromkeys(accepted, stored.as_of))
        return as_of


def results_of(loads: LoadResult[Any], keys: Sequence[Key]) -> dict[Key, Result]:
    """Return the result for each key asked for; one the loader did not mention has failed."""
    results: dict[Key, Result] = {}
    for key in keys:
        if key in loads.failed:
            results[key] = loads.failed[key]
        elif key in loads.loaded:
            results[key] = loads.loaded[key]
        elif key in loads.absent:
            results[key] = Absent()
        else:
            results[key] = LoadFailed("The loader said nothing about a key it was asked for.")
    return results
