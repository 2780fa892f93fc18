"""The machine of proof over both backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from cache_layer.backends.base import Backend
from tests.cache_layer.coherence.freshness_machine import CONFIRMED_S, LAG_S, FreshnessMachine
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.shifted_redis import RedisClock, shift_time
from tests.cache_layer.support import Clock

HORIZON_S = 10_000.0
TRUST = settings(max_examples=40, stateful_step_count=25, deadline=None)
BRIEF = settings(TRUST, max_examples=6)


def run(make: Callable[[], Backend], clock: Clock, how: settings) -> None:
    run_state_machine_as_test(lambda: FreshnessMachine(make, clock), settings=how)  # type: ignore[arg-type]  # any factory will do


def test_locmem_proves_nothing_it_may_not(make_locmem: MakeLocMem, clock: Clock) -> None:
    run(lambda: make_locmem(load_horizon_s=HORIZON_S, settle_s=LAG_S), clock, TRUST)


@pytest.mark.redis
def test_redis_proves_nothing_it_may_not(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
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

        run(make, clock, BRIEF)
