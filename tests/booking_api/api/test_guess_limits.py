"""How often wrong pairs may be named, at once and one after the other, and who is not locked out by
others who do: with windows in this process and in Redis."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.db import connection
from pytest_django import Settings

from booking_api import composition
from booking_api.api.guess_limits import GuessLimits
from booking_api.pairs.models import RightPair
from booking_api.rules.students import StudentPair
from cache_layer import CacheConfig, Cause
from tests.api import Api, Reply
from tests.builders import Portal, Student
from tests.cache_layer.own_redis import OwnRedis
from tests.waiting import WAIT_LIMIT_S

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/bookings/list"
LIMIT = 5
AT_ONCE = 40
SCHOOL, HOME, CAFE = "203.0.113.9", "198.51.100.7", "192.0.2.1"


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis of the file's own; skips without one unless the environment promised it."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("REDIS_PROMISED"):
            pytest.fail("REDIS_PROMISED is set, but there is no redis-server to start")
        pytest.skip("no redis-server to start")
    server = OwnRedis(binary, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True, params=["in process", pytest.param("redis", marks=pytest.mark.redis)])
def limited(request: pytest.FixtureRequest, settings: Settings, api: Api) -> None:
    """Few wrong pairs, counted and remembered in this process or in Redis."""
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_pairs": (LIMIT, 86_400)}
    if request.param == "redis":
        redis: OwnRedis = request.getfixturevalue("own_redis")
        redis.empty()
        settings.REDIS_URL = redis.url
        settings.CACHE = CacheConfig(redis_url=redis.url, key_secrets=("a",))


def ask(pair: dict[str, str], address: str = SCHOOL) -> Reply:
    reply = Api().send("GET", LIST, query=pair, REMOTE_ADDR=address)
    connection.close()
    return reply


def all_at_once(pairs: Sequence[dict[str, str]]) -> list[Reply]:
    ready = threading.Barrier(len(pairs))

    def one(pair: dict[str, str]) -> Reply:
        ready.wait(WAIT_LIMIT_S)
        return ask(pair)

    with ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(one, pairs))


def emails_looked_up(portal: Portal) -> int:
    """How many e-mails HubSpot was asked about, in however few calls."""
    calls = portal.sandbox.calls("objects.batch_read")
    return sum(call["inputs"] for call in calls if call["object_type"] == "0-1")


def guesses(student: Student, wrong: str) -> list[dict[str, str]]:
    if wrong == "e-mails":
        return [student.pair | {"email": f"guess{n}@example.org"} for n in range(AT_ONCE)]
    return [student.pair | {"student_id": f"G{n}"} for n in range(AT_ONCE)]


def make_cold() -> None:
    """Nothing is cached any more; who was right is still known."""
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)


def restart() -> None:
    """As another process: what was noted is in the database, and nothing in memory."""
    composition.services().pairs.right.write_noted()
    composition.close()


@pytest.mark.sampled
@pytest.mark.parametrize("wrong", ["e-mails", "student ids"])
def test_no_number_of_guesses_at_once_gets_more_look_ups_than_the_limit(
    wrong: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.sandbox.configure(latency_ms=50)
    portal.sandbox.clear_calls()

    replies = all_at_once(guesses(alice, wrong))

    assert Counter(reply.status for reply in replies) == {401: LIMIT, 429: AT_ONCE - LIMIT}
    assert all(int(each.headers["Retry-After"]) > 0 for each in replies if each.status == 429)
    assert emails_looked_up(portal) <= LIMIT


def test_look_ups_that_wait_leave_one_for_a_booking(api: Api) -> None:
    def limits(number: int, *, writes: bool = False) -> GuessLimits:
        pair = StudentPair(student_id=f"G{number}", email=f"guess{number}@example.org")
        look_ups = composition.services().pairs.look_ups
        return GuessLimits(SCHOOL, pair, look_ups, writes=writes)

    with ExitStack() as under_way:
        for number in range(LIMIT):
            assert under_way.enter_context(limits(number).taking()) is not None

        assert under_way.enter_context(limits(LIMIT).taking()) is None
        assert under_way.enter_context(limits(LIMIT, writes=True).taking()) is not None
        assert under_way.enter_context(limits(LIMIT + 1, writes=True).taking()) is None


@pytest.mark.sampled
def test_a_class_that_comes_at_once_is_served(api: Api, portal: Portal) -> None:
    with portal.at_once():
        students = [portal.student(f"s{number}") for number in range(AT_ONCE)]
    portal.sandbox.configure(latency_ms=20)

    replies = all_at_once([student.pair for student in students])

    assert Counter(reply.status for reply in replies) == {200: AT_ONCE}


def test_one_student_who_asks_many_times_at_once_is_served_by_one_look_up(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.booking(alice, portal.exam())  # of one without any the contact is read again, by id
    portal.sandbox.configure(latency_ms=20)
    portal.sandbox.clear_calls()

    replies = all_at_once([alice.pair] * AT_ONCE)

    assert Counter(reply.status for reply in replies) == {200: AT_ONCE}
    assert emails_looked_up(portal) == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("known", ["cached", "right from there", "right before a restart"])
def test_who_was_right_works_on_while_a_classmate_guesses(
    known: str, api: Api, portal: Portal
) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    assert ask(alice.pair).status == 200
    for guess in guesses(alice, "student ids")[: LIMIT + 1]:
        ask(guess)
    if known != "cached":
        make_cold()
    if known == "right before a restart":
        restart()

    assert ask(alice.pair).status == 200
    assert ask(charlie.pair).status == 429
    assert ask(charlie.pair, HOME).status == 200


def test_who_is_cached_passes_from_an_address_that_never_saw_them(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    ask(alice.pair, HOME)
    for guess in guesses(alice, "e-mails")[: LIMIT + 1]:
        ask(guess)
    portal.sandbox.clear_calls()

    assert ask(alice.pair).status == 200
    assert portal.sandbox.calls_count("objects.batch_read") == 0


@pytest.mark.sampled
def test_who_has_tried_far_too_many_is_not_told_what_the_cache_knows(
    api: Api, portal: Portal
) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    ask(alice.pair, HOME)
    ask(charlie.pair)
    for guess in guesses(alice, "e-mails")[:LIMIT]:
        assert ask(guess).status == 401
    for _ in range(10 * LIMIT):
        assert ask(guesses(alice, "e-mails")[-1]).status == 429

    found = ask(alice.pair)

    assert found.status == 429
    assert "Server-Timing" not in found.headers
    assert ask(alice.pair, HOME).status == 200
    assert ask(charlie.pair).status == 200


@pytest.mark.sampled
@pytest.mark.parametrize("wrong", ["e-mails", "student ids"])
def test_a_student_guessed_from_many_addresses_is_guessed_no_more(
    wrong: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    ask(alice.pair, HOME)
    make_cold()
    for number in range(10):
        for guess in guesses(alice, wrong)[:LIMIT]:
            assert ask(guess, f"10.0.0.{number}").status == 401
    restart()

    assert ask(guesses(alice, wrong)[-1], CAFE).status == 429
    assert ask(alice.pair, HOME).status == 200


def test_a_pair_that_is_right_no_more_opens_nothing(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    ask(alice.pair)
    restart()
    portal.sandbox.edit("0-1", alice.id, student_id="S7777")
    make_cold()
    for guess in guesses(alice, "e-mails")[: LIMIT + 1]:
        ask(guess)

    first = ask(alice.pair)
    restart()

    assert first.status == 401
    assert ask(alice.pair).status == 429


def test_right_pairs_are_kept_as_digests_for_30_days(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    for student in (alice, alice, charlie):
        ask(student.pair)
    restart()
    assert RightPair.objects.count() == 2
    stored = repr(list(RightPair.objects.values()))
    assert not any(each in stored for each in (alice.email, alice.student_id, SCHOOL))

    RightPair.objects.update(last_used="2020-01-01")
    composition.services().pairs.right.write_noted()

    assert RightPair.objects.count() == 0
