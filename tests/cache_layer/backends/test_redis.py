"""The Redis backend: the contract against a real Redis, and what only it promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from typing_extensions import override

from cache_layer.backends.base import Refusal
from tests.cache_layer.backend_contract import BackendContract, MakeBackend
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.own_redis import OwnRedis
from tests.cache_layer.support import entry, payload_at, put
from tests.waiting import eventually

pytestmark = pytest.mark.redis


class TestRedis(BackendContract):
    @pytest.fixture
    @override
    def make(self, make_redis: MakeRedis) -> MakeBackend:
        return make_redis


def test_two_processes_see_the_same_entries_and_refuse_each_others_late_loads(
    make_redis: MakeRedis,
) -> None:
    one, other = make_redis(), make_redis()
    put(one, "k", b"v", tags=["exam:9"])
    ticket = one.look_up(()).ticket

    assert payload_at(other, "k") == b"v"
    other.invalidate(["exam:9"], [])

    assert payload_at(one, "k") is None
    assert one.store(ticket, {"k": entry(tags=["exam:9"])}).refused == {"k": Refusal.INVALIDATED}


@pytest.mark.parametrize("lost", ["state", "tags", "meta", "uses", "deadlines"])
def test_whatever_redis_loses_no_late_load_is_stored_and_nothing_unfindable_is_served(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, lost: str
) -> None:
    backend = make_redis()
    put(backend, "k", b"old", tags=["exam:9"])
    ticket = backend.look_up(()).ticket
    backend.invalidate(["exam:8"], [])
    with Redis.from_url(redis_url) as client:
        client.delete(f"{{{redis_prefix}}}:{lost}")

    stored = backend.store(ticket, {"page": entry(b"late", tags=["exam:8"])})

    assert stored.refused == {"page": Refusal.LOST}
    backend.invalidate(["exam:9"], [])
    assert payload_at(backend, "k") is None


def test_a_payload_dropped_for_room_is_a_miss(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str
) -> None:
    backend = make_redis()
    put(backend, "k")
    with Redis.from_url(redis_url) as client:
        client.delete(f"{{{redis_prefix}}}:payload:k")

    assert payload_at(backend, "k") is None
    assert backend.size().total_entries == 0


def test_a_lease_keeps_the_others_away_until_it_is_given_back(make_redis: MakeRedis) -> None:
    backend = make_redis()
    backend.claim_leases(["a"], "me")

    assert backend.claim_leases(["a", "b"], "you") == {"b"}
    assert backend.claim_leases(["a"], "me") == {"a"}
    backend.release_leases(["a"], "you")
    assert backend.claim_leases(["a"], "you") == frozenset()
    backend.release_leases(["a"], "me")
    assert backend.claim_leases(["a"], "you") == {"a"}


def test_a_dead_owners_lease_ends_by_itself(make_redis: MakeRedis) -> None:
    backend = make_redis(lease_s=0.05)
    backend.claim_leases(["a"], "dead")

    eventually(lambda: backend.claim_leases(["a"], "alive") == {"a"})


def test_marks_are_forgotten_once_no_load_can_need_them(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str
) -> None:
    backend = make_redis(load_horizon_s=0.05)
    for number in range(200):
        backend.invalidate([f"exam:{number}"], [])

    with Redis.from_url(redis_url) as client:

        def few_are_left() -> bool:
            backend.invalidate(["exam:0"], [])
            return int(client.hlen(f"{{{redis_prefix}}}:state")) < 50

        eventually(few_are_left)


def kept_for_good(redis_url: str, redis_prefix: str) -> set[str]:
    """The keys that end by nothing but a hand; there are others."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        left_s = {key: client.ttl(key) for key in client.scan_iter(f"{{{redis_prefix}}}:*")}
    assert len(left_s) > 0
    return {key for key, left in left_s.items() if left == -1}


def test_a_deployment_that_is_no_more_leaves_no_key_for_good(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str
) -> None:
    backend = make_redis()
    backend.look_up(())
    assert kept_for_good(redis_url, redis_prefix) == set()

    put(backend, "k", tags=["exam:9"])
    backend.claim_leases(["a"], "me")
    backend.begin_epoch("epoch", ["exam"], 1)
    assert kept_for_good(redis_url, redis_prefix) == set()

    # With the last entry its keys go, and come again with the next.
    backend.invalidate(["exam:9"], ["k"])
    put(backend, "k", tags=["exam:9"])
    backend.raise_floor()
    assert kept_for_good(redis_url, redis_prefix) == set()


@pytest.mark.parametrize("asks", ["store", "invalidate"])
def test_what_was_kept_for_good_or_for_little_longer_is_kept_while_somebody_works(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, asks: str
) -> None:
    """For good, as an earlier release left it."""
    backend = make_redis()
    put(backend, "k", b"old", tags=["exam:9"])
    week_s = 7 * 24 * 3_600
    with Redis.from_url(redis_url) as client:
        names = [f"{{{redis_prefix}}}:{name}" for name in ("state", "tags", "meta")]
        client.persist(names[0])
        client.expire(names[2], 1_000)
        if asks == "store":
            put(backend, "other")
        else:
            backend.invalidate(["exam:8"], [])
        left_s = [client.ttl(name) for name in names]

    assert min(left_s) > week_s
    assert payload_at(backend, "k") == b"old"


THREADS = 200
"""More than a server has by default, and more connections than redis-py lets a pool have."""


def test_no_thread_of_a_rush_is_refused_a_connection(
    make_redis: MakeRedis, own_redis: OwnRedis
) -> None:
    """All ask while Redis answers none of them for a moment."""
    backend = make_redis(url=own_redis.url)
    put(backend, "k")
    with Redis.from_url(own_redis.url) as client:
        client.client_pause(500)

    with ThreadPoolExecutor(THREADS) as threads:
        asked = [threads.submit(payload_at, backend, "k") for _ in range(THREADS)]

    assert {each.result() for each in asked} == {b"v"}
