"""The state machine over both backends; and over broken ones, which it must find out.

Each mutant stands for one mistake that is easily made: the check of the count dropped, a value
stored before the invalidation or without noticing another writer's, one tag skipped, a flush that
lets loads in flight through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs
from typing_extensions import override

from cache_layer.backends.base import Backend, ByFamily, StoreResult, Ticket, WriteThroughResult
from cache_layer.entries.entries import Entry
from tests.cache_layer.coherence.coherence_machine import (
    CROWDED_BYTES,
    MAX_ENTRIES,
    CoherenceMachine,
    CrowdedMachine,
)
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.faithful import Faithful
from tests.cache_layer.support import Clock

HORIZON_S = 10_000.0
HUNT = settings(
    max_examples=400,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
TRUST = settings(max_examples=60, stateful_step_count=50, deadline=None)
BRIEF = settings(TRUST, max_examples=25)
"""Each step in Redis is a round trip."""
over_redis = pytest.mark.parametrize(
    "how", [BRIEF, pytest.param(TRUST, marks=pytest.mark.chaos)], ids=["brief", "long"]
)


class ChecksNoCount(Faithful):
    @override
    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        return self.inner.store(self.inner.look_up(()).ticket, entries)


class StoresBeforeInvalidating(Faithful):
    @override
    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        stored = self.inner.store(ticket, entries)
        return WriteThroughResult(removed=self.inner.invalidate(tags, list(entries)), stored=stored)


class NoticesNoOtherWriter(Faithful):
    @override
    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        removed = self.inner.invalidate(tags, list(entries))
        return WriteThroughResult(
            removed=removed, stored=self.inner.store(self.inner.look_up(()).ticket, entries)
        )


class WritesWithoutInvalidating(Faithful):
    @override
    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        return WriteThroughResult(removed={}, stored=self.inner.store(ticket, entries))


class SkipsATagWhenInvalidating(Faithful):
    @override
    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        return self.inner.invalidate(sorted(tags)[1:], keys)


class SkipsATagWhenStoring(Faithful):
    @override
    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        fewer = {
            key: structs.replace(entry, tags=frozenset(sorted(entry.tags)[1:]))
            for key, entry in entries.items()
        }
        return self.inner.store(ticket, fewer)


class IgnoresKeys(Faithful):
    @override
    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        self.inner.remove(keys)
        return self.inner.invalidate(tags, ())


class FlushesWithoutRefusing(Faithful):
    @override
    def raise_floor(self) -> None:
        """Lets every load in flight through."""


class FlushesNothing(Faithful):
    @override
    def remove(self, keys: Collection[str]) -> ByFamily:
        return {}


class CallsARefusedResultCurrent(Faithful):
    @override
    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        stored = self.inner.store(ticket, entries)
        return replace(stored, refused={})


BROKEN = "out of date|older write stayed|left no value"
MUTANTS = [
    ChecksNoCount,
    StoresBeforeInvalidating,
    NoticesNoOtherWriter,
    WritesWithoutInvalidating,
    SkipsATagWhenInvalidating,
    SkipsATagWhenStoring,
    IgnoresKeys,
    FlushesWithoutRefusing,
    FlushesNothing,
    CallsARefusedResultCurrent,
]


def run(
    make: Callable[[], Backend],
    clock: Clock | None,
    how: settings,
    machine: type[CoherenceMachine] = CoherenceMachine,
) -> None:
    run_state_machine_as_test(lambda: machine(make, clock), settings=how)  # type: ignore[arg-type]  # any factory will do


def make_small(make_locmem: MakeLocMem) -> Backend:
    return make_locmem(max_entries=MAX_ENTRIES, load_horizon_s=HORIZON_S)


def test_locmem_keeps_the_promise(make_locmem: MakeLocMem, clock: Clock) -> None:
    run(lambda: make_small(make_locmem), clock, TRUST)


@pytest.mark.chaos
def test_locmem_keeps_the_promise_and_the_bound_where_bytes_are_few(
    make_locmem: MakeLocMem, clock: Clock
) -> None:
    def make() -> Backend:
        return make_locmem(
            max_entries=MAX_ENTRIES, max_bytes=CROWDED_BYTES, load_horizon_s=HORIZON_S
        )

    run(make, clock, TRUST, CrowdedMachine)


@pytest.mark.sampled
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_locmem_is_found_out(
    mutant: type[Faithful], make_locmem: MakeLocMem, clock: Clock
) -> None:
    with pytest.raises(AssertionError, match=BROKEN):
        run(lambda: mutant(make_small(make_locmem)), clock, HUNT)


class Emptied:
    """One Redis for all runs of a machine: connecting anew for each would be most of the time."""

    def __init__(self, make_redis: MakeRedis, **bounds: int) -> None:
        self.backend = make_redis(max_entries=MAX_ENTRIES, load_horizon_s=HORIZON_S, **bounds)

    def __call__(self) -> Backend:
        self.backend.raise_floor()
        for page in self.backend.scan_keys():
            self.backend.remove(page)
        return self.backend


@pytest.mark.redis
@over_redis
def test_redis_keeps_the_promise(make_redis: MakeRedis, how: settings) -> None:
    run(Emptied(make_redis), None, how)


@pytest.mark.chaos
@pytest.mark.redis
@over_redis
def test_redis_keeps_the_promise_and_the_bound_where_bytes_are_few(
    make_redis: MakeRedis, how: settings
) -> None:
    run(Emptied(make_redis, max_bytes=CROWDED_BYTES), None, how, CrowdedMachine)


@pytest.mark.sampled
@pytest.mark.redis
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_redis_is_found_out(mutant: type[Faithful], make_redis: MakeRedis) -> None:
    emptied = Emptied(make_redis)
    with pytest.raises(AssertionError, match=BROKEN):
        run(lambda: mutant(emptied()), None, HUNT)
