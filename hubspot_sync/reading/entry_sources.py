"""Where readers get the entries of the catalogue's families from.

An `EntrySource` is given to whoever reads, and a `LoadContext` to whoever loads what is missing.
There are two sources: `CacheSource`, and `DirectSource`, which asks HubSpot for each thing at most
once and is used where there is no cache to use, and for checking the cache against the truth.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Protocol, TypeVar

from cache_layer import Cache, CacheStatus, Family, Key, LoadedValue, ReadManyResult
from cache_layer.entries.entries import join_epochs
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline

V = TypeVar("V")

# Less, and an entry built of old parts would soon have to be built again; more, and parts that are
# good for some time yet would be read twice. Measured in `make bench`.
MIN_SHARE: Final = 0.5


class Beside(Protocol):
    """Runs a load, and beside it what the reader will need whatever the load says."""

    def __call__(self, load: Callable[[], V], /) -> V: ...


def load_alone(load: Callable[[], V], /) -> V:
    return load()


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadContext:
    """What a loader needs: on whose behalf it calls, and where the entries it builds upon come
    from: `direct` where it is given, HubSpot anew when `fresh`, otherwise the cache. What is built
    `seeks_proof` where entries that have none are read anew for it. `subject` is the student, for
    the rollout; `beside` runs what is searched for."""

    call: CallContext
    direct: EntrySource | None = None
    fresh: bool = False
    subject: str | None = None
    seeks_proof: bool = False
    beside: Beside = load_alone


class EntrySource(Protocol):
    """Where a reader gets entries from."""

    def __call__(
        self,
        family: Family[V, LoadContext],
        keys: Sequence[Key],
        context: CallContext,
        beside: Beside = load_alone,
    ) -> ReadManyResult[V]:
        """Return the entries; a key whose load failed is in `failed`, nothing is raised for it. A
        load of ours runs `beside` something else, one of another's that is joined does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSource:
    """Reads the cache, for the student `subject`. A load may serve others and outlive this reader,
    so it gets the time of a whole request, `load_s`, not what the reader has left.

    An entry kept for `composed_s` seconds is being built of what is read, or none where that is 0.
    A part that would leave it less than `MIN_SHARE` of them (see `Provenance.ttl_left_s`) is read
    anew, unless it is proven fresh. So is, where the entry `seeks_proof`, a part without proof that
    was read so long ago that it may have one by now.
    """

    cache: Cache
    load_s: float
    subject: str | None = None
    composed_s: float = 0.0
    seeks_proof: bool = False

    def __call__(
        self,
        family: Family[V, LoadContext],
        keys: Sequence[Key],
        context: CallContext,
        beside: Beside = load_alone,
    ) -> ReadManyResult[V]:
        call = CallContext(
            deadline=Deadline.after(self.load_s, context.deadline.clock),
            priority=context.priority,
            meters=context.meters,
            looked_up=context.looked_up,
        )
        longest_s = max(family.ttl_s, self.composed_s)
        max_age_s = longest_s - MIN_SHARE * self.composed_s if self.composed_s > 0 else math.inf
        if self.seeks_proof:
            max_age_s = min(max_age_s, self.cache.config.settle_s)
        return self.cache.reader.read_many(
            family,
            keys,
            LoadContext(
                call=call, subject=self.subject, seeks_proof=self.seeks_proof, beside=beside
            ),
            wait_s=context.deadline.remaining_s(),
            subject=self.subject,
            max_age_s=max_age_s,
            or_proven=True,
            rank=context.priority,
        )


class DirectSource:
    """Reads HubSpot, each key at most once: what was read for one answer is not read again for the
    next part of it. Made for one request, or one round of checks, and then dropped."""

    def __init__(self, cache_status: CacheStatus) -> None:
        self._cache_status = cache_status
        self._lock = threading.Lock()
        self._known: dict[Key, LoadedValue[Any]] = {}

    def __call__(
        self,
        family: Family[V, LoadContext],
        keys: Sequence[Key],
        context: CallContext,
        beside: Beside = load_alone,
    ) -> ReadManyResult[V]:
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        asked = [key for key in keys if key not in known]
        if len(asked) == 0:
            return self._to_reads(known, frozenset(), {})
        try:
            load = LoadContext(call=context, direct=self, beside=beside)
            loads = family.load_many(asked, load)
        except HubSpotError as error:
            return self._to_reads(known, frozenset(), dict.fromkeys(asked, error))
        with self._lock:
            self._known.update(loads.loaded)
        found = known | {key: loads.loaded[key] for key in asked if key in loads.loaded}
        return self._to_reads(found, loads.absent, loads.failed)

    def _to_reads(
        self,
        found: Mapping[Key, LoadedValue[Any]],
        absent: frozenset[Key],
        failed: Mapping[Key, Exception],
    ) -> ReadManyResult[Any]:
        return ReadManyResult(
            found={key: loaded.value for key, loaded in found.items()},
            cache_status=self._cache_status,
            absent=absent,
            failed=failed,
            tags=frozenset(tag for loaded in found.values() for tag in loaded.tags),
            ttl_left_s=_min_or_inf(loaded.ttl_s for loaded in found.values()),
            keep_s=_min_or_inf(loaded.keep_s for loaded in found.values()),
            epoch=reduce(join_epochs, (loaded.epoch for loaded in found.values()), None),
        )


def _min_or_inf(seconds: Iterable[float | None]) -> float:
    return min((each for each in seconds if each is not None), default=math.inf)
