"""The machine of proof over both backends; and over broken proofs, which it must find out.

Each mutant takes one condition away, in the cache in memory; what was tried besides, in Redis too,
is in docs/how-to/run-mutants.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs
from redis import Redis

from cache_layer.backends.base import Backend
from cache_layer.backends.local_guard import LocalGuard
from cache_layer.backends.local_marks import LocalMarks
from cache_layer.backends.local_records import Record
from cache_layer.backends.proof import Proof
from cache_layer.coherence import freshness, reading, singleflight
from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.counters import Cause
from cache_layer.entries.entries import Entry, LoadedValue, Packing
from tests.cache_layer.coherence.freshness_machine import FreshnessMachine
from tests.cache_layer.coherence.freshness_world import CONFIRMED_S, LAG_S
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.shifted_redis import RedisClock, shift_time
from tests.cache_layer.support import Clock

HORIZON_S = 10_000.0
TRUST = settings(max_examples=40, stateful_step_count=25, deadline=None)
BRIEF = settings(TRUST, max_examples=6)
HUNT = settings(
    max_examples=400,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def run(make: Callable[[], Backend], clock: Clock, how: settings) -> None:
    run_state_machine_as_test(lambda: FreshnessMachine(make, clock), settings=how)  # type: ignore[arg-type]  # any factory will do


def run_on_locmem(make_locmem: MakeLocMem, clock: Clock, how: settings) -> None:
    run(lambda: make_locmem(load_horizon_s=HORIZON_S, settle_s=LAG_S), clock, how)


def test_locmem_proves_nothing_it_may_not(make_locmem: MakeLocMem, clock: Clock) -> None:
    run_on_locmem(make_locmem, clock, TRUST)


@pytest.mark.redis
@pytest.mark.parametrize("how", [BRIEF, pytest.param(TRUST, marks=pytest.mark.chaos)])
def test_redis_proves_nothing_it_may_not(
    how: settings,
    make_redis: MakeRedis,
    redis_url: str,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shift_time(monkeypatch)
    with Redis.from_url(redis_url) as client:
        clock = RedisClock(client, redis_prefix)
        backend = make_redis(load_horizon_s=HORIZON_S, settle_s=LAG_S, ttl_confirmed_s=CONFIRMED_S)

        def make() -> Backend:
            for page in backend.scan_keys():
                backend.remove(page)
            client.hdel(f"{{{redis_prefix}}}:state", "epoch", "confirmed", "lapses", "term")
            return backend

        run(make, clock, how)


# Each puts something else in the place of one condition.

proven_until_s, is_provable = Record._proven_until_s, LocalGuard._is_provable
confirmed = Proof.confirmed


def compares_no_epochs(self: Record, proof: Proof) -> float:
    return proven_until_s(
        structs.replace(self, entry=structs.replace(self.entry, epoch=proof.epoch)), proof
    )


def hears_no_silence(self: Record, proof: Proof) -> float:
    return proven_until_s(self, replace(proof, lapses_ms=2**60))


def settles_at_once(self: LocalGuard, ticket: Any, key: str, entry: Entry) -> bool:
    return is_provable(self, replace(ticket, began_ms=2**60), key, entry)


def covers_everything(self: LocalGuard, ticket: Any, key: str, entry: Entry) -> bool:
    family = next(iter(self.proof.covered), "")
    return is_provable(self, ticket, key, structs.replace(entry, family=family))


def confirms_any_epoch(self: Proof, epoch: str, until: int, lapses: int, term: int) -> Proof | None:
    return confirmed(self, self.epoch, until, lapses, term)


def confirms_any_term(self: Proof, epoch: str, until: int, lapses: int, term: int) -> Proof | None:
    return confirmed(self, epoch, until, lapses, max(term, self.term))


def confirms_backwards(self: Proof, epoch: str, until: int, lapses: int, term: int) -> Proof | None:
    return confirmed(replace(self, confirmed_ms=None), epoch, until, lapses, term)


def confirms_by_now(
    self: freshness.Freshness,
    epoch: str,
    until_ms: int,
    *,
    term: int,
) -> bool:
    now_ms = self.read_clock()
    return self._backend.confirm(epoch, until_ms, now_ms + self._max_silence_ms, term)


def drops_nothing(self: GuardedStore, matches: object, *, cause: Cause) -> Any:
    return self.invalidate((), (), cause=cause)


def notices_no_flush(self: LocalMarks, now_ms: int) -> None:
    self.count += 1
    self.floor = self.count


pack_entry = Packing.pack


def lifts_ends(self: Packing[Any], loaded: LoadedValue[Any], tags: frozenset[str]) -> Entry:
    return structs.replace(pack_entry(self, loaded, tags), keep_s=CONFIRMED_S)


def grows_old(self: Packing[Any], loaded: LoadedValue[Any], tags: frozenset[str]) -> Entry:
    keep_s = math.inf if loaded.keep_s is None else loaded.keep_s
    return structs.replace(pack_entry(self, loaded, tags), keep_s=keep_s)


def takes_over_no_epoch(one: str | None, other: str | None) -> None:
    """Parts may be of any epoch, or of none."""


def tells_no_epochs(results: Any, ticket: object, provable: object) -> Any:
    return results


MUTANTS = [
    (Record, "_proven_until_s", compares_no_epochs),
    (Record, "_proven_until_s", hears_no_silence),
    (freshness.Freshness, "confirm", confirms_by_now),
    (LocalGuard, "_is_provable", settles_at_once),
    (LocalMarks, "raise_floor", notices_no_flush),
    (LocalGuard, "_is_provable", covers_everything),
    (Packing, "pack", lifts_ends),
    (Packing, "pack", grows_old),
    (GuardedStore, "flush", drops_nothing),
    (Proof, "confirmed", confirms_any_epoch),
    (Proof, "confirmed", confirms_any_term),
    (Proof, "confirmed", confirms_backwards),
    (reading, "join_epochs", takes_over_no_epoch),
    (singleflight, "_with_epochs", tells_no_epochs),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("where", "name", "mutant"), MUTANTS, ids=[mutant.__name__ for _, _, mutant in MUTANTS]
)
def test_a_broken_proof_is_found_out(
    where: object,
    name: str,
    mutant: Callable[..., object],
    make_locmem: MakeLocMem,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(where, name, mutant)

    with pytest.raises(AssertionError, match=r"served|confirmed|begun"):
        run_on_locmem(make_locmem, clock, HUNT)
