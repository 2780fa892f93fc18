"""The locmem backend: the contract, and what only it promises."""

from __future__ import annotations

import pytest
from typing_extensions import override

from cache_layer.backends.base import Refusal
from tests.cache_layer.backend_contract import BackendContract, MakeBackend
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.support import Clock, entry, put


class TestLocMem(BackendContract):
    @pytest.fixture
    @override
    def make(self, make_locmem: MakeLocMem, clock: Clock) -> MakeBackend:
        self.clock = clock
        return make_locmem

    @override
    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)


def test_it_is_still_a_django_cache(make_locmem: MakeLocMem, clock: Clock) -> None:
    cache = make_locmem(max_entries=3)

    cache.set("a", {"n": 1}, timeout=10)
    cache.set_many({"b": 2, "c": 3}, timeout=None)

    assert cache.get("a") == {"n": 1}
    assert cache.incr("b") == 3
    clock.advance(10)
    assert cache.get("a") is None
    cache.clear()
    assert cache.size().used_bytes == 0
    assert cache.get_many(["b", "c"]) == {}


def test_clearing_refuses_loads_in_flight(make_locmem: MakeLocMem) -> None:
    backend = make_locmem()
    put(backend, "k", tags=["t"])
    ticket = backend.look_up(()).ticket

    backend.clear()

    assert backend.size().total_entries == 0
    assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.FLUSHED}


def test_an_entry_replaced_again_and_again_still_expires_in_its_turn(
    make_locmem: MakeLocMem, clock: Clock
) -> None:
    for times in range(1, 100):
        backend = make_locmem()
        backend.store(backend.look_up(()).ticket, {"long": entry(ttl_s=100)})
        for _ in range(times):
            backend.store(backend.look_up(()).ticket, {"short": entry(ttl_s=5, family="page")})
        clock.advance(5)

        size = backend.size()

        assert (size.entries, size.expired) == ({"exam": 1}, {"page": 1})


def test_two_instances_share_nothing(make_locmem: MakeLocMem) -> None:
    one, other = make_locmem(), make_locmem()
    put(one, "k")

    assert other.look_up(["k"]).entries == {}


def test_marks_are_forgotten_once_no_load_can_need_them(
    make_locmem: MakeLocMem, clock: Clock
) -> None:
    backend = make_locmem(load_horizon_s=5)
    ticket = backend.look_up(()).ticket
    backend.invalidate(["exam:9"], [])
    clock.advance(5)
    backend.invalidate(["exam:8"], [])
    still = backend.store(ticket, {"k": entry(tags=["exam:9"])})
    clock.advance(0.5)
    late = backend.store(ticket, {"k": entry(tags=["exam:9"])})

    assert still.refused == {"k": Refusal.INVALIDATED}
    assert late.refused == {"k": Refusal.TOO_SLOW}
