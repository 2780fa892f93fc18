"""A caller's window: who is counted with whom, where, and what is kept of it."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator

import pytest
from pytest_django import Settings
from redis import Redis

from booking_api.api.windows import SlidingWindow, forget_windows
from tests.cache_layer.own_redis import OwnRedis
from tests.server import free_port

HOUR = 3_600


@pytest.fixture(params=["", pytest.param("redis", marks=pytest.mark.redis)], autouse=True)
def counted_in(request: pytest.FixtureRequest, settings: Settings) -> Iterator[None]:
    """In this process, and in Redis."""
    settings.REDIS_URL = ""
    if request.param != "":
        redis: OwnRedis = request.getfixturevalue("own_redis")
        redis.empty()
        settings.REDIS_URL = redis.url
    forget_windows()
    yield
    forget_windows()


def granted(window: SlidingWindow, *callers: str) -> list[bool]:
    return [window.take(caller).granted for caller in callers]


def test_each_caller_and_each_scope_counts_alone() -> None:
    reads, writes = SlidingWindow("reads", (1, HOUR)), SlidingWindow("writes", (1, HOUR))

    assert granted(reads, "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1 S1") == [
        *(True, False),
        *(True, True),
    ]
    assert granted(writes, "192.0.2.1") == [True]


def test_no_rate_is_no_limit_and_counts_nothing() -> None:
    window = SlidingWindow("reads", None)
    window.add("192.0.2.1")

    assert granted(window, *["192.0.2.1"] * 9) == [True] * 9
    assert window.look("192.0.2.1").granted
    assert window.count("192.0.2.1") == 0


def test_the_networks_of_one_site_are_counted_together_too() -> None:
    window = SlidingWindow("pairs", (2, HOUR))
    networks = [f"2001:db8:1:{number:x}::/64" for number in range(20)]

    assert granted(window, *networks) == [True] * 16 + [False] * 4
    assert granted(window, "2001:db8:2::/64", "192.0.2.1") == [True] * 2


def test_what_else_tells_callers_apart_does_so_for_a_site() -> None:
    window = SlidingWindow("pairs", (1, HOUR))
    networks = [f"2001:db8:1:{number:x}::/64" for number in range(9)]

    assert granted(window, *[f"{network} S1" for network in networks]) == [True] * 8 + [False]
    assert granted(window, f"{networks[0]} S2") == [True]


def test_what_a_network_gives_back_its_site_has_again() -> None:
    window = SlidingWindow("pairs", (1, HOUR))
    for number in range(50):
        window.take(f"2001:db8:1:{number:x}::/64").give_back()

    assert granted(window, "2001:db8:1::/64") == [True]


@pytest.mark.parametrize(
    "caller",
    ["unknown", "", " ", "::/64 x/48", "192.0.2.1 2001:db8::/64", "2001:zz::/64", "a\0b", "\ud83d"],
)
def test_any_caller_is_counted(caller: str) -> None:
    window = SlidingWindow("odd", (2, HOUR))
    window.add(caller)

    assert window.count(caller) == 1
    assert granted(window, caller, caller) == [True, False]


def test_another_process_with_another_secret_key_counts_on_its_own(settings: Settings) -> None:
    window = SlidingWindow("reads", (1, HOUR))
    assert granted(window, "192.0.2.1", "192.0.2.1") == [True, False]

    settings.SECRET_KEY = "another deployment's"

    assert granted(window, "192.0.2.1") == [True]


@pytest.mark.redis
def test_redis_holds_nothing_that_says_who_it_is(settings: Settings, own_redis: OwnRedis) -> None:
    settings.REDIS_URL = own_redis.url
    own_redis.empty()
    for caller in ("192.0.2.77 S1001", "2001:db8:77::/64 S1001"):
        SlidingWindow("reads", (1, HOUR)).take(caller)

    with Redis.from_url(own_redis.url) as client:
        keys = list(client.scan_iter())
        kept = b" ".join(part for key in keys for part in (key, *client.lrange(key, 0, -1)))
    assert len(keys) == 3  # an address, a network, and the site around it
    assert not any(told in kept for told in (b"192.0", b"db8", b"S1001"))


class Caller(str):
    """A caller's text of which can be told whether anybody keeps it."""


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::/64"])
def test_nothing_keeps_what_a_caller_sent(address: str) -> None:
    """It says who it is, and a name that somebody tries to log in by has any length."""
    window = SlidingWindow("reads", (1, HOUR))
    caller = Caller(f"{address} ada@example.org")
    kept = weakref.ref(caller)
    window.take(caller)
    window.add(caller)
    window.count(caller)

    del caller
    gc.collect()

    assert kept() is None


def test_while_redis_is_away_this_process_counts_on_and_nothing_fails(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    window = SlidingWindow("reads", (2, HOUR))
    with caplog.at_level(logging.WARNING):
        window.add("192.0.2.1")
        taken = window.take("192.0.2.1")

        assert (taken.granted, window.count("192.0.2.1")) == (True, 2)
        assert not window.look("192.0.2.1").granted
        taken.give_back()
        assert window.count("192.0.2.1") == 1
    assert caplog.text.count("throttles.redis_lost") == 1
