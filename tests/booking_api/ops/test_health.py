"""Readiness costs next to nothing, however often and by how many it is asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from booking_api.ops.health import FRESH_S, CoalescedCheck
from hubspot_sync.reading.availability import State
from tests.api import Api
from tests.builders import Portal
from tests.waiting import WAIT_LIMIT_S, eventually

READY = "/api/ready"


class Part:
    """Something that answers when it is let."""

    def __init__(self, max_wait_s: float = WAIT_LIMIT_S) -> None:
        self.now_s = 1_000.0
        self.asked = 0
        self.answer = True
        self.error: Exception | None = None
        self.lets = threading.Event()
        self.lets.set()
        self.check = CoalescedCheck(
            "part", self._ask, max_wait_s=max_wait_s, clock=lambda: self.now_s
        )

    def _ask(self) -> bool:
        self.asked += 1
        assert self.lets.wait(WAIT_LIMIT_S)
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def part() -> Part:
    return Part()


def test_it_is_asked_once_a_second_at_most(part: Part) -> None:
    for _ in range(100):
        assert part.check.look().state is State.OK
    assert part.asked == 1

    part.now_s += FRESH_S

    assert part.check.look().checked_s_ago == 0.0
    assert part.asked == 2


def test_many_at_once_ask_once(part: Part) -> None:
    part.lets.clear()
    with ThreadPoolExecutor(16) as pool:
        looks = [pool.submit(part.check.look) for _ in range(16)]
        eventually(lambda: part.asked == 1)
        part.lets.set()
        assert {look.result().state for look in looks} == {State.OK}

    assert part.asked == 1


def test_a_silent_part_has_failed_and_is_waited_for_by_nobody_who_comes_later() -> None:
    part = Part(max_wait_s=0.05)
    part.lets.clear()
    assert part.check.look().state is State.FAILED
    part.now_s += WAIT_LIMIT_S

    states = [part.check.look().state for _ in range(100)]

    assert states == [State.FAILED] * 100
    assert part.asked == 1
    part.lets.set()
    eventually(lambda: part.check.look().state is State.OK)


def test_what_failed_is_there_again_once_it_answers(part: Part) -> None:
    part.answer = False
    assert part.check.look().state is State.FAILED
    part.answer = True
    part.now_s += FRESH_S

    eventually(lambda: part.check.look().state is State.OK)


def test_a_check_that_breaks_is_a_failure(part: Part) -> None:
    part.error = ValueError("unforeseen")

    assert part.check.look().state is State.FAILED


@pytest.mark.django_db
def test_four_hundred_questions_cost_one_call_at_most(api: Api, portal: Portal) -> None:
    portal.sandbox.clear_calls()

    statuses = {api.get(READY).status for _ in range(400)}

    assert statuses == {200}
    assert portal.sandbox.calls_count() <= 1


@pytest.mark.django_db
def test_traffic_alone_tells_that_hubspot_is_there(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    assert api.get("/api/bookings/list", **alice.pair).status == 200
    portal.sandbox.clear_calls()

    reply = api.get(READY)

    assert reply.body["checks"]["hubspot"] == "ok"
    assert 0 <= reply.body["checked_s_ago"]["hubspot"] < WAIT_LIMIT_S
    assert portal.sandbox.calls_count() == 0


@pytest.mark.django_db
def test_a_token_that_is_refused_is_seen_and_the_answer_says_when_to_ask_again(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    assert api.get(READY).status == 200
    portal.sandbox.fault("status", path="batch/read", status=401)
    api.get("/api/bookings/list", **alice.pair)

    reply = api.get(READY)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert reply.headers["Retry-After"] == str(reply.body["retryAfter"]) == "5"
