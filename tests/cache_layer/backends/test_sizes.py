"""Cost and size: an invalidation costs what it removes, and the bound holds."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from cache_layer.backends.base import Backend
from cache_layer.backends.redis import RedisBackend
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import entry

FEW, MANY = 1_000, 20_000
BOUND, KEYS = 1_000, 30_000


def fill(backend: Backend, number: int) -> None:
    """Store entries of other students, each with tags of its own."""
    for start in range(0, number, 500):
        batch = {
            f"contact:{n}:details": entry(tags=[f"contact:{n}", f"contact:{n}/bookings"])
            for n in range(start, start + 500)
        }
        backend.store(backend.look_up(()).ticket, batch)


def steps(work: Callable[[], object]) -> int:
    """Return how many instructions of Python `work` takes."""
    taken = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal taken
        frame.f_trace_opcodes = True
        taken += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # what it would find is no step of this work
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return taken


def cost_in_memory(backend: Backend, others: int) -> int:
    fill(backend, others)
    pages = {f"page:{n}": entry(tags=["exam:9"]) for n in range(5)}
    backend.store(backend.look_up(()).ticket, pages)
    removed: list[object] = []
    taken = steps(lambda: removed.append(backend.invalidate(["exam:9"], [])))
    assert removed == [{"exam": 5}]
    return taken


def test_an_invalidation_in_memory_takes_the_same_steps_whatever_else_is_held(
    make_locmem: MakeLocMem,
) -> None:
    few, many = (cost_in_memory(make_locmem(max_entries=2 * MANY), n) for n in (FEW, MANY))

    assert many == few


@pytest.mark.redis
def test_an_invalidation_in_redis_runs_the_same_commands_whatever_else_is_held(
    own_redis: OwnRedis,
) -> None:
    backend = RedisBackend(
        own_redis.url,
        prefix="sizes",
        max_entries=2 * MANY,
        load_horizon_s=120,
        lease_s=5,
        timeout_s=5,
    )
    backend.invalidate(["exam:9"], [])  # the script is sent once
    costs = []
    for others in (FEW, MANY):
        fill(backend, others)
        pages = {f"page:{n}": entry(tags=["exam:9"]) for n in range(5)}
        backend.store(backend.look_up(()).ticket, pages)
        before = own_redis.commands_run()
        assert backend.invalidate(["exam:9"], []) == {"exam": 5}
        costs.append(own_redis.commands_run() - before)
    backend.close()

    assert costs[0] == costs[1]


def test_the_bound_in_memory_holds_under_many_distinct_keys(make_locmem: MakeLocMem) -> None:
    backend = make_locmem(max_entries=BOUND)
    fill(backend, KEYS)

    assert backend.size().total_entries == BOUND
    assert sum(len(page) for page in backend.scan_keys()) == BOUND


def test_a_store_into_a_full_memory_takes_the_same_steps_whatever_its_size(
    make_locmem: MakeLocMem,
) -> None:
    costs = []
    for bound in (BOUND, 5 * BOUND):
        backend = make_locmem(max_entries=bound)
        fill(backend, bound)
        ticket = backend.look_up(()).ticket
        one = {"one:more": entry(tags=["t"])}
        costs.append(steps(lambda: backend.store(ticket, one)))  # noqa: B023 - run at once

    assert costs[0] == costs[1]


@pytest.mark.redis
def test_the_bound_in_redis_holds_and_leaves_nothing_behind(
    make_redis: MakeRedis, own_redis: OwnRedis
) -> None:
    backend = make_redis(max_entries=BOUND, url=own_redis.url)
    fill(backend, KEYS // 3)

    assert backend.size().total_entries == BOUND
    assert own_redis.members() == {
        "meta": BOUND,
        "uses": BOUND,
        "deadlines": BOUND,
        "tags": 2 * BOUND + 1,  # and the name of the generation
        "payloads": BOUND,
    }
