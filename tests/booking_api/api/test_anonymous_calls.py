"""What anybody may ask costs calls to HubSpot: one address may spend only so many, and a crowd
leaves threads for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import time_machine
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig
from tests.api import Api, Reply, connected
from tests.builders import Portal

pytestmark = pytest.mark.django_db

AVAILABLE = "/api/mock-exams/available"
LIST = "/api/bookings/list"
ADDRESS, OTHER = "203.0.113.1", "203.0.113.2"
NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few_calls(settings: Settings) -> None:
    settings.THROTTLE_ANONYMOUS_CALLS = (8, 60)


@pytest.fixture
def uncached(settings: Settings, portal: Portal) -> Iterator[Api]:
    """The API without a cache, and an exam to ask for."""
    portal.exam(in_days=3)
    with connected(settings, portal.sandbox, cache=CacheConfig(enabled=False)) as api:
        yield api


def ask(api: Api, address: str = ADDRESS, realtime: str = "true") -> Reply:
    query = {"mock_type": "clinical", "realtime": realtime}
    return api.send("GET", AVAILABLE, query=query, REMOTE_ADDR=address)


def calls_of(reply: Reply) -> int:
    return int(reply.headers["Server-Timing"].split('"')[1].split()[0])


@pytest.mark.parametrize("realtime", ["true", "false"])
def test_an_address_that_spent_its_calls_is_refused_until_they_are_a_minute_old(
    uncached: Api, portal: Portal, realtime: str
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        spent = 0
        while (reply := ask(uncached, realtime=realtime)).status == 200:
            spent += calls_of(reply)
        portal.sandbox.clear_calls()
        refused = ask(uncached, realtime=realtime)

        assert 8 <= spent < 8 + calls_of(ask(uncached, OTHER, realtime=realtime))
        assert (refused.status, refused.code, calls_of(refused)) == (429, "THROTTLED", 0)
        assert refused.body["retryAfter"] == int(refused.headers["Retry-After"]) == 60
        clock.shift(61)
        assert ask(uncached, realtime=realtime).status == 200


def test_another_address_is_not_refused_and_neither_is_a_student(
    uncached: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    with time_machine.travel(NOON, tick=False):
        while ask(uncached).status == 200:
            pass

        student = uncached.send("GET", LIST, query=alice.pair, REMOTE_ADDR=ADDRESS)

        assert (student.status, ask(uncached, OTHER).status) == (200, 200)


def test_many_at_once_are_counted_before_it_is_known_what_they_cost(uncached: Api) -> None:
    together = threading.Barrier(20)

    def ask_at_once(_: int) -> int:
        together.wait(30)
        return ask(Api()).status

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(ask_at_once, range(20)))

    assert statuses.count(429) >= 12
    assert set(statuses) == {200, 429}


def test_what_the_cache_answers_is_never_refused(api: Api, portal: Portal) -> None:
    portal.exam(in_days=3)

    assert {ask(api).status for _ in range(12)} == {200}


def test_no_rate_is_no_limit(uncached: Api, settings: Settings) -> None:
    settings.THROTTLE_ANONYMOUS_CALLS = None

    assert {ask(uncached).status for _ in range(8)} == {200}


def test_a_crowd_that_waits_for_hubspot_leaves_threads_for_others(
    settings: Settings, portal: Portal
) -> None:
    """Two of four threads may be held by what anybody may ask."""
    settings.SERVER_THREADS = 4
    alice = portal.student("alice")
    with connected(settings, portal.sandbox) as api:
        places = composition.services().anonymous_places
        assert [places.acquire(blocking=False) for _ in range(3)] == [True, True, False]

        crowded = ask(api)
        student = api.get(LIST, **alice.pair)
        places.release()

        assert (crowded.status, crowded.code) == (503, "RATE_LIMITED")
        assert crowded.headers["Retry-After"] == "2"
        assert student.status == 200
        assert ask(api).status == 200
