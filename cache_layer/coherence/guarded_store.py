"""Never storing what is out of date, and never forgetting what must go.

Stands between the backend's atomic steps and those who read and write: a load's result is stored
only if nothing it was built from was invalidated since its ticket; a write invalidates and stores
in one step. Errors of the backend are counted, and logged at most once a minute. A failed look-up
or store costs only speed. A failed invalidation is handed to the delivery, and until the backend
has heard of it this process does not read its cache.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec

from cache_layer.backends.base import Backend, ByFamily, Lookup, Refusal, StoreResult, Ticket
from cache_layer.coherence.backend_faults import BackendFaults
from cache_layer.coherence.delivery import Delivery, OwnDelivery
from cache_layer.coherence.flush import flush_entries
from cache_layer.coherence.shared_delivery import SharedDelivery
from cache_layer.coherence.undelivered import UndeliveredParts
from cache_layer.config import CacheConfig
from cache_layer.counters import Bound, Cause, Count, Counters
from cache_layer.entries.entries import MISS, Entry, HeldEntry, LoadedValue, Miss, Packing
from cache_layer.entries.families import Catalogue, Family
from cache_layer.entries.keys import Key
from cache_layer.entries.values import VERSION_LENGTH
from cache_layer.errors import (
    BackendUnavailable,
    UnfitValue,
    UnreadableEntry,
    UnreadableReason,
)

logger = logging.getLogger(__name__)

V = TypeVar("V")
W = TypeVar("W")


class FreshValue(msgspec.Struct, frozen=True):
    """A value known to be current, from a write or a load, and the entry it belongs in."""

    family: Family[Any, Any]
    key: Key
    loaded: LoadedValue[Any]


@dataclass(frozen=True)
class WriteResult(Generic[W]):
    """What a write answered, the entries it makes known and further tags it turned out to touch."""

    answer: W
    fresh: Sequence[FreshValue] = ()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Removal:
    """What an invalidation removed. `delivered` says whether the backend has heard of it;
    `acknowledged`, that every process will see it: only then may whoever asked rely on it."""

    removed: ByFamily
    delivered: bool
    acknowledged: bool


class GuardedStore:
    """The one door to the backend. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        *,
        backend: Backend,
        catalogue: Catalogue,
        config: CacheConfig,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
        undelivered: UndeliveredParts | None = None,
    ) -> None:
        self.backend = backend
        self._versions = {family.name: _version_of(family, config.origin) for family in catalogue}
        self._ttl_confirmed_s = config.ttl_confirmed_s
        self._counters = counters
        self.clock = clock
        self._faults = BackendFaults(counters, config.retry_s, clock)
        self.delivery: Delivery = (
            OwnDelivery(backend, self._faults)
            if undelivered is None
            else SharedDelivery(
                backend=backend,
                faults=self._faults,
                counters=counters,
                config=config,
                parts=undelivered,
            )
        )

    @property
    def all_delivered(self) -> bool:
        """Whether the backend has heard of every invalidation, as far as this process knows."""
        return self.delivery.all_delivered

    def version_of(self, family: Family[Any, Any]) -> str:
        """Return the version of a family's entries: of its types, and of where values come from."""
        return self._versions[family.name]

    def prepare_read(self) -> bool:
        """Do what must come before a read, and return whether entries may be read now: not for a
        moment after a failure, and not while the backend has yet to hear of an invalidation."""
        return not self._faults.pausing and self.delivery.prepare_read()

    def look_up(self, keys: Sequence[Key], *, touch: bool = True) -> Lookup:
        """Return the live entries of these keys and a ticket, and count what had expired; raises
        BackendUnavailable. What another release or another origin has stored is left out: it may
        still be somebody's, and whatever is loaded takes its place."""
        try:
            found = self.backend.look_up([key.text for key in keys], touch=touch)
        except BackendUnavailable as error:
            self._faults.record("lookup", error)
            raise
        self._counters.add_by_family(Count.EXPIRATIONS, found.expired)
        others = {key for key, held in found.entries.items() if not self._is_ours(held)}
        if not others:
            return found
        ours = {key: held for key, held in found.entries.items() if key not in others}
        return found._replace(entries=ours)

    def peek(self, key: Key) -> HeldEntry | Miss:
        """Return one entry without marking it as used, or MISS; raises BackendUnavailable."""
        return self.look_up([key], touch=False).entries.get(key.text, MISS)

    def read_entry(self, family: Family[V, Any], key: Key, held: HeldEntry) -> V | Miss:
        """Return the value of an entry found under a key of this family, MISS for one that is no
        value here. It is counted, and dropped unless another release or origin has stored it."""
        if not self._is_ours(held):
            return MISS
        try:
            return _decode(family, held.entry)
        except UnreadableEntry as error:
            self._counters.add(Count.UNREADABLE, family.name, detail=error.reason)
            logger.warning("An entry of %s is dropped: %s", family.name, error)
        self.invalidate(key.tags, [key.text], cause=Cause.UNREADABLE, wait=False)
        return MISS

    def store(
        self,
        ticket: Ticket,
        family: Family[Any, Any],
        loaded: Mapping[Key, LoadedValue[Any]],
        *,
        ahead: bool = False,
    ) -> StoreResult:
        """Store a load's results where nothing they were built from was invalidated since the
        ticket; never raises for the cache's own faults, they are refusals. `ahead` says that no
        reader has asked for them yet."""
        entries, refused = self._pack_or_refuse(ticket, family, loaded, ahead=ahead)
        try:
            stored = self.backend.store(ticket, entries)
        except BackendUnavailable as error:
            self._faults.record("store", error)
            stored = StoreResult(refused=dict.fromkeys(entries, Refusal.UNAVAILABLE), as_of=ticket)
        self._count_store(entries, stored)
        return replace(stored, refused={**stored.refused, **refused})

    def count_refused(self, family: Family[Any, Any], number: int, reason: Refusal) -> None:
        """Count results that were not offered to the backend at all."""
        self._counters.add(Count.REFUSED_STORES, family.name, number, reason)

    def invalidate(
        self,
        tags: Collection[str],
        keys: Collection[str],
        *,
        cause: Cause,
        wait: bool = True,
    ) -> Removal:
        """Remove every entry built from these tags or stored under these keys. Where the backend
        does not answer, wait until every process will see it; raises InvalidationUnacknowledged.
        Without `wait` neither: for a reader, to whom nothing was promised."""
        self._counters.add(Count.INVALIDATIONS, detail=cause)
        try:
            removed = self.backend.invalidate(tags, keys)
        except BackendUnavailable as error:
            return self._keep(error, tags, keys, wait=wait)
        return self._count_removal(removed, cause)

    def flush(self, matches: Callable[[str], bool], *, cause: Cause) -> Removal:
        """Remove every entry whose key matches, and refuse every load in flight. Where the backend
        does not answer, everything goes; waits and raises as `invalidate`."""
        self._counters.add(Count.INVALIDATIONS, detail=cause)
        try:
            removed = flush_entries(self.backend, matches)
        except BackendUnavailable as error:
            return self._keep(error, (), (), flush=True)
        return self._count_removal(removed, cause)

    def end_proof(self, term: int | None) -> bool:
        """End the feed's proof, and count what only it has kept; return False under a term that has
        passed. Raises BackendUnavailable."""
        expired = self.backend.end_proof(term)
        self._counters.add_by_family(Count.EXPIRATIONS, expired or {})
        return expired is not None

    def write_through(
        self,
        tags: Collection[str],
        write: Callable[[], WriteResult[W]],
        *,
        cause: Cause = Cause.WRITE,
    ) -> WriteResult[W]:
        """Write, then invalidate these tags and store what the write made known, in one step.

        Of two racing writers neither leaves its value behind the other's. When `write` raises, it
        may still have taken effect: the tags are invalidated and the error goes on.
        """
        ticket = self._take_ticket()
        try:
            result = write()
        except BaseException:
            self.invalidate(tags, (), cause=cause)
            raise
        touched = frozenset(tags) | result.tags
        if ticket is None:
            touched |= _tags_of_keys(result.fresh)
            self.invalidate(touched, [fresh.key.text for fresh in result.fresh], cause=cause)
        else:
            self.invalidate_and_store(ticket, touched, result.fresh, cause=cause)
        return result

    def invalidate_and_store(
        self,
        ticket: Ticket,
        tags: Collection[str],
        fresh: Sequence[FreshValue],
        *,
        cause: Cause,
        wait: bool = True,
    ) -> Removal:
        """Invalidate the tags and store the fresh values, unless somebody else invalidated since
        the ticket. Waits and raises as `invalidate`."""
        self._counters.add(Count.INVALIDATIONS, detail=cause)
        entries: dict[str, Entry] = {}
        refused: dict[str, Refusal] = {}
        for value in fresh:
            packed, unfit = self._pack_or_refuse(ticket, value.family, {value.key: value.loaded})
            entries |= packed
            refused |= unfit
        tags = frozenset(tags) | _tags_of_keys(fresh)
        try:
            written = self.backend.write_through(ticket, tags, entries)
            if refused:
                self.backend.invalidate((), refused)
        except BackendUnavailable as error:
            return self._keep(error, tags, [*entries, *refused], wait=wait)
        self._count_store(entries, written.stored)
        return self._count_removal(written.removed, cause)

    def _take_ticket(self) -> Ticket | None:
        try:
            return self.backend.look_up(()).ticket
        except BackendUnavailable as error:
            self._faults.record("lookup", error)
            return None

    def _pack_or_refuse(
        self,
        ticket: Ticket,
        family: Family[Any, Any],
        loaded: Mapping[Key, LoadedValue[Any]],
        *,
        ahead: bool = False,
    ) -> tuple[dict[str, Entry], dict[str, Refusal]]:
        packing = self._choose_packing(ticket, family, ahead=ahead)
        entries: dict[str, Entry] = {}
        refused: dict[str, Refusal] = {}
        for key, value in loaded.items():
            if value.keep_s is not None and value.keep_s <= 0:
                self.count_refused(family, 1, Refusal.TOO_OLD)
                refused[key.text] = Refusal.TOO_OLD
                continue
            try:
                entries[key.text] = packing.pack(value, key.tags)
            except UnfitValue as error:
                logger.error("A value of %s cannot be stored: %s", family.name, error)  # noqa: TRY400
                self.count_refused(family, 1, Refusal.UNFIT)
                refused[key.text] = Refusal.UNFIT
        return entries, refused

    def _choose_packing(
        self, ticket: Ticket, family: Family[Any, Any], *, ahead: bool
    ) -> Packing[Any]:
        confirmed_s = self._ttl_confirmed_s
        return Packing(
            family=family.name,
            codec=family.values,
            ttl_s=family.ttl_s,
            version=self._versions[family.name],
            epoch=ticket.epoch if confirmed_s > 0 else "",
            proven_s=max(family.ttl_s, confirmed_s) if ticket.epoch != "" else math.inf,
            ahead=ahead,
        )

    def _is_ours(self, held: HeldEntry) -> bool:
        """Return whether this release would have stored such an entry; count one it would not."""
        family = held.entry.family
        if held.entry.version == self._versions.get(family):
            return True
        known = family if family in self._versions else ""
        self._counters.add(Count.UNREADABLE, known, detail=UnreadableReason.OTHER_VERSION)
        return False

    def _count_store(self, entries: Mapping[str, Entry], stored: StoreResult) -> None:
        numbers: Counter[str] = Counter()
        ahead: Counter[str] = Counter()
        payload_bytes: Counter[str] = Counter()
        for key, entry in entries.items():
            family = entry.family
            if key in stored.refused:
                reason = stored.refused[key]
                self._counters.add(Count.REFUSED_STORES, family, detail=reason)
                continue
            numbers[family] += 1
            payload_bytes[family] += len(entry.payload)
            if entry.ahead:
                ahead[family] += 1
        self._counters.add_all(
            {
                Count.STORES: numbers,
                Count.AHEAD_STORES: ahead,
                Count.BYTES_STORED: payload_bytes,
                Count.EXPIRATIONS: stored.expired,
            }
        )
        for family, number in stored.evicted.items():
            for_bytes = stored.evicted_for_bytes.get(family, 0)
            self._counters.add(Count.EVICTIONS, family, for_bytes, Bound.BYTES)
            self._counters.add(Count.EVICTIONS, family, number - for_bytes, Bound.ENTRIES)

    def _count_removal(self, removed: ByFamily, cause: Cause) -> Removal:
        self._counters.add_by_family(Count.REMOVALS, removed, cause)
        return Removal(removed, delivered=True, acknowledged=True)

    def _keep(
        self,
        error: BackendUnavailable,
        tags: Collection[str],
        keys: Collection[str],
        *,
        flush: bool = False,
        wait: bool = True,
    ) -> Removal:
        """Hand over what the backend did not hear of."""
        number = self.delivery.keep(tags, keys, flush=flush)
        self._faults.record("invalidate", error)
        acknowledged = wait and self.delivery.await_acknowledgement(number)
        return Removal({}, delivered=False, acknowledged=acknowledged)


def _decode(family: Family[V, Any], entry: Entry) -> V:
    # A key may have moved: its entry is of our version, but of its former family's.
    if entry.family != family.name:
        raise UnreadableEntry(UnreadableReason.OTHER_SHAPE)
    return family.values.decode(entry.payload)


def _tags_of_keys(fresh: Sequence[FreshValue]) -> frozenset[str]:
    return frozenset(tag for value in fresh for tag in value.key.tags)


def _version_of(family: Family[Any, Any], origin: str) -> str:
    digest = hashlib.sha256(f"{family.values.version} {origin}".encode())
    return digest.hexdigest()[:VERSION_LENGTH]
