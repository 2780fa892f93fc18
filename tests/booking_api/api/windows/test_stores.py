"""What every store of windows promises, in this process and in Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from booking_api.api.windows.accounts import MAX_SLOTS, MICROSECONDS, Account, WindowStore
from booking_api.api.windows.local_windows import LocalWindows
from booking_api.api.windows.redis_windows import RedisWindows
from tests.booking_api.api.windows.conftest import BEGIN_S, Clock, MakeStore
from tests.cache_layer.own_redis import OwnRedis

MINUTE_US = 60 * MICROSECONDS
ALICE = (Account("alice", 3),)
CROWD = 157
# Each example begins with an empty store.
REPEATED = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def take(store: WindowStore, account: Account = ALICE[0], period_us: int = MINUTE_US) -> bool:
    return store.take("reads", period_us, (account,)).granted


def test_the_one_after_the_last_waits_until_the_first_has_left_the_window(
    store: WindowStore, clock: Clock
) -> None:
    granted = []
    for at_s in (0, 10, 20):
        clock.now_s = BEGIN_S + at_s
        granted.append(take(store))
    clock.now_s = BEGIN_S + 25

    refused = store.take("reads", MINUTE_US, ALICE)

    assert granted == [True] * 3
    assert (refused.granted, refused.retry_after_s) == (False, 35)
    clock.now_s = BEGIN_S + 25 + refused.retry_after_s - 0.001
    assert not take(store)
    clock.now_s = BEGIN_S + 25 + refused.retry_after_s
    assert take(store)
    assert not take(store)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("amount", [1, 2, 5, MAX_SLOTS + 1, 2_000])
def test_no_more_than_the_amount_pass_at_the_edge_of_a_minute(
    store: WindowStore, clock: Clock, amount: int
) -> None:
    account = Account("edge", amount)
    clock.now_s = BEGIN_S - BEGIN_S % 60 + 59.9
    before = sum(take(store, account) for _ in range(amount))
    clock.now_s += 0.2
    after = sum(take(store, account) for _ in range(3))

    assert (before, after) == (amount, 0)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("amount", [1, 3, MAX_SLOTS, MAX_SLOTS + 1, 1_000])
@pytest.mark.parametrize("offset_us", [0, 1, 58_593, 117_187])
def test_nothing_leaves_a_window_a_microsecond_too_soon(
    make_store: MakeStore, clock: Clock, amount: int, offset_us: int
) -> None:
    store, account = make_store(), Account("edge", amount)
    taken_us = int(BEGIN_S) * MICROSECONDS + offset_us
    clock.now_s = taken_us / MICROSECONDS
    assert all(take(store, account) for _ in range(amount))

    clock.now_s = (taken_us + MINUTE_US - 1) / MICROSECONDS
    assert not take(store, account)
    # Large amounts are counted in parts of the period, and leave with theirs.
    latest_us = 0 if amount <= MAX_SLOTS else MINUTE_US // MAX_SLOTS + 1
    clock.now_s = (taken_us + MINUTE_US + latest_us) / MICROSECONDS
    assert take(store, account)


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 3 * MINUTE_US),
                st.sampled_from([MINUTE_US - 1, MINUTE_US, MINUTE_US + 1]),
            ),
            st.sampled_from(["take", "take", "take", "add", "give back"]),
        ),
        max_size=40,
    ),
    amount=st.sampled_from([1, 2, 3, 7]),
)
@REPEATED
def test_no_period_holds_more_than_the_amount(
    make_store: MakeStore, clock: Clock, steps: list[tuple[int, str]], amount: int
) -> None:
    """Takes in any period, those given back not counted, are never more than the amount; and one
    is refused only where takes and adds in the period before it fill it."""
    store, account = make_store(), (Account("anybody", amount),)
    now_us, standing, added = int(BEGIN_S) * MICROSECONDS, [], []
    for pause_us, step in steps:
        now_us += pause_us
        clock.now_s = now_us / MICROSECONDS
        if step == "add":
            store.add("reads", MINUTE_US, account)
            added.append(now_us)
        elif step == "give back" and standing:
            standing.pop(now_us % len(standing))[1].give_back()
        elif step == "take":
            taken = store.take("reads", MINUTE_US, account)
            recent = [at for at, _ in standing if at > now_us - MINUTE_US]
            recent_adds = [at for at in added if at > now_us - MINUTE_US]
            if taken.granted:
                standing.append((now_us, taken))
                assert len(recent) < amount
            else:
                assert len(recent) + len(recent_adds) >= amount
                assert 0 < taken.retry_after_s <= 60


@given(
    pauses_us=st.lists(st.integers(0, MINUTE_US // 12), min_size=1, max_size=25),
    amount=st.just(MAX_SLOTS + 8),
)
@settings(REPEATED, max_examples=20)
def test_a_large_amount_is_never_exceeded_either(
    make_store: MakeStore, clock: Clock, pauses_us: list[int], amount: int
) -> None:
    """An account too large to be counted to the microsecond lets no more through for it."""
    store, account = make_store(), (Account("many", amount),)
    now_us, granted = int(BEGIN_S) * MICROSECONDS, []
    for pause_us in pauses_us:
        now_us += pause_us
        clock.now_s = now_us / MICROSECONDS
        granted += [now_us for _ in range(40) if store.take("reads", MINUTE_US, account).granted]

    for last in set(granted):
        assert sum(last - MINUTE_US < at <= last for at in granted) <= amount


def test_what_is_given_back_makes_room_for_one_and_only_once(
    store: WindowStore, clock: Clock
) -> None:
    takes = [store.take("reads", MINUTE_US, ALICE) for _ in range(3)]
    clock.now_s += 1
    assert not take(store)

    takes[1].give_back()
    takes[1].give_back()

    assert store.count("reads", MINUTE_US, ALICE[0]) == 2
    assert take(store)
    assert not take(store)


def test_what_is_given_back_leaves_the_others_when_they_were(
    store: WindowStore, clock: Clock
) -> None:
    takes = []
    for at_s in (0, 10, 20):
        clock.now_s = BEGIN_S + at_s
        takes.append(store.take("reads", MINUTE_US, ALICE))
    clock.now_s = BEGIN_S + 25

    takes[1].give_back()

    assert take(store)
    for expected_s in (35, 55, 60):  # those of 0, 20 and 25 s leave
        refused = store.take("reads", MINUTE_US, ALICE)
        assert (refused.granted, store.count("reads", MINUTE_US, ALICE[0])) == (False, 3)
        clock.now_s += refused.retry_after_s
        assert clock.now_s == BEGIN_S + 25 + expected_s
        assert take(store)


def test_looking_counts_nothing_and_says_what_a_take_would(
    store: WindowStore, clock: Clock
) -> None:
    assert all(store.look("reads", MINUTE_US, ALICE).granted for _ in range(9))
    for _ in range(3):
        take(store)
        clock.now_s += 1

    looked = store.look("reads", MINUTE_US, ALICE)

    assert (looked.granted, looked.retry_after_s) == (False, 57)


def test_what_is_added_counts_without_room_and_the_youngest_decide(
    store: WindowStore, clock: Clock
) -> None:
    for _ in range(6):
        store.add("reads", MINUTE_US, ALICE)
        clock.now_s += 10

    assert store.count("reads", MINUTE_US, ALICE[0]) == 3
    # Added at 0, 10, … 50 s; it is 60 s: room when that of 30 s has left.
    assert store.take("reads", MINUTE_US, ALICE).retry_after_s == 30


def test_of_two_accounts_none_is_charged_where_one_has_no_room(store: WindowStore) -> None:
    narrow, wide = Account("narrow", 1), Account("wide", 5)
    assert store.take("reads", MINUTE_US, (narrow, wide)).granted

    assert not store.take("reads", MINUTE_US, (narrow, wide)).granted

    assert store.count("reads", MINUTE_US, wide) == 1


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_period(
    store: WindowStore, clock: Clock
) -> None:
    for _ in range(3):
        take(store)
    clock.now_s -= 3_600

    assert take(store)
    clock.now_s -= 10
    taken = sum(take(store) for _ in range(5))

    assert taken == 2  # a small step forgives nothing


def run_at_once(action: Callable[[], bool]) -> int:
    """Return how many of a crowd, all at the same moment, were granted one."""
    barrier = threading.Barrier(CROWD)

    def wait_and_act() -> bool:
        barrier.wait(timeout=60)
        return action()

    with ThreadPoolExecutor(max_workers=CROWD) as pool:
        return sum(future.result() for future in [pool.submit(wait_and_act) for _ in range(CROWD)])


@pytest.mark.parametrize("amount", [30, MAX_SLOTS // 4])
def test_a_crowd_at_the_same_moment_gets_exactly_the_amount(
    store: WindowStore, amount: int
) -> None:
    account = Account("crowd", amount)

    assert run_at_once(lambda: take(store, account)) == min(amount, CROWD)


def test_what_a_crowd_takes_and_gives_back_leaves_nothing_counted(store: WindowStore) -> None:
    account = Account("crowd", 30)

    def take_and_give_back() -> bool:
        taken = store.take("reads", MINUTE_US, (account,))
        taken.give_back()
        return taken.granted

    run_at_once(take_and_give_back)

    assert store.count("reads", MINUTE_US, account) == 0


def test_more_callers_than_are_kept_let_the_least_recent_be_forgotten(clock: Clock) -> None:
    store = LocalWindows(clock, max_callers=2)
    for name in ("a", "b", "a", "c"):
        store.add("reads", MINUTE_US, (Account(name, 5),))
    store.add("writes", MINUTE_US, (Account("d", 5),))

    counts = [store.count("reads", MINUTE_US, Account(name, 5)) for name in "abc"]

    assert counts == [2, 0, 1]


def test_callers_who_have_left_the_window_leave_no_account_once_others_come(clock: Clock) -> None:
    store = LocalWindows(clock)
    for number in range(100):
        store.add("reads", MINUTE_US, (Account(f"early {number}", 5),))
    clock.now_s = BEGIN_S + 30
    store.add("reads", MINUTE_US, (Account("late", 5),))
    clock.now_s = BEGIN_S + 60

    for number in range(60):
        store.add("reads", MINUTE_US, (Account(f"new {number}", 5),))

    kept = {account.split()[0] for account in store._scopes["reads"]}
    assert kept == {"late", "new"}
    assert store.count("reads", MINUTE_US, Account("late", 5)) == 1


@pytest.mark.redis
def test_processes_on_one_redis_share_a_count_and_its_clock(own_redis: OwnRedis) -> None:
    own_redis.empty()
    first, second = (RedisWindows(own_redis.url, timeout_s=30) for _ in range(2))
    account = Account("shared", 20)

    granted = run_at_once(
        lambda: take(first if threading.get_ident() % 2 else second, account, 600 * MICROSECONDS)
    )

    assert granted == 20
    assert second.count("reads", 600 * MICROSECONDS, account) == 20
    first.close()
    second.close()


@pytest.mark.redis
def test_an_account_in_redis_stays_small_and_ends_by_itself(
    own_redis: OwnRedis, clock: Clock
) -> None:
    own_redis.empty()
    store = RedisWindows(own_redis.url, clock=clock)
    for _ in range(3 * MAX_SLOTS):
        take(store, Account("busy", 1_000_000_000), MINUTE_US)
        clock.now_s += 0.1

    with Redis.from_url(own_redis.url) as client:
        keys = client.keys()
        assert len(keys) == 1
        assert client.llen(keys[0]) <= 2 * (MAX_SLOTS + 1) + 1
        assert 0 < client.pttl(keys[0]) <= 61_000
    store.close()
