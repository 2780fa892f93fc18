"""Who gets a thread while all are busy: four threads, three of them for one address at most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from tests.raw import RawAnswer, connect, request_head, send_raw
from tests.server import Server

TRIES = 400
ANONYMOUS = "/api/mock-exams/available"


@pytest.fixture(autouse=True)
def let_go(echo: Server) -> Iterator[None]:
    yield
    release(echo)
    Caller.of_this_test.clear()


def release(echo: Server) -> None:
    """Let go of what is held, and of what is held then, until all have their answers: who was given
    a thread just now waits in no queue any more, and is not held yet."""
    wait_until(lambda: echo.get("/api/ready").status == 200 and not any_wait())


def any_wait() -> bool:
    return any(caller.is_alive() for caller in Caller.of_this_test)


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    assert any(condition() or pause.wait(0.02) for _ in range(TRIES))


class Caller(threading.Thread):
    """Asks once, from an address of its own choice, and keeps the answer."""

    of_this_test: ClassVar[list[Caller]] = []

    def __init__(
        self, echo: Server, address: str, target: str, framing: str = "X-A: 1", body: bytes = b""
    ) -> None:
        super().__init__(daemon=True)
        self._echo = echo
        method = "POST" if body else "GET"
        head = request_head(method, target, f"X-Forwarded-For: {address}", framing)
        self._raw = head + body
        self.answer: RawAnswer | None = None
        self.of_this_test.append(self)
        self.start()

    def run(self) -> None:
        self.answer = send_raw(self._echo.base_url, self._raw)

    def status(self) -> int:
        self.join(timeout=40)
        assert self.answer is not None
        return self.answer.status


def busy(echo: Server) -> int:
    number: int = echo.get("/api/health").body["busy"]
    return number


def queued(echo: Server) -> int:
    number: int = echo.get("/api/health").body["queued"]
    return number


def hold_every_thread(echo: Server) -> None:
    hold(echo, "203.0.113.1", 3, until_busy=3)
    hold(echo, "203.0.113.2", 1, until_busy=4)


def hold(echo: Server, address: str, number: int, *, until_busy: int) -> list[Caller]:
    callers = [Caller(echo, address, "/hold") for _ in range(number)]
    wait_until(lambda: busy(echo) == until_busy)
    return callers


def test_slow_requests_of_one_address_leave_a_thread_for_others(echo: Server) -> None:
    slow = hold(echo, "203.0.113.1", 6, until_busy=3)

    assert Caller(echo, "203.0.113.2", "/echo").status() == 200

    release(echo)
    assert [caller.status() for caller in slow] == [200] * 6


def test_with_every_thread_held_health_and_readiness_are_answered(echo: Server) -> None:
    slow = hold(echo, "203.0.113.1", 3, until_busy=3)
    slow += hold(echo, "203.0.113.2", 3, until_busy=4)

    assert echo.get("/api/health").status == 200
    assert echo.get("/api/ready").status == 200

    release(echo)
    assert [caller.status() for caller in slow] == [200] * 6


def test_with_every_thread_held_hubspot_is_answered(echo: Server) -> None:
    """It waits for five seconds, and then it has to come again."""
    hold_every_thread(echo)
    crowd = [Caller(echo, "203.0.113.3", "/echo") for _ in range(4)]
    wait_until(lambda: queued(echo) == 4)

    told = Caller(echo, "203.0.113.1", "/api/webhooks/booking-sync", "Content-Length: 2", b"[]")

    assert told.status() == 200
    assert queued(echo) == 4
    release(echo)
    assert [caller.status() for caller in crowd] == [200] * 4


def test_an_address_that_asks_little_waits_for_no_queue_of_others(echo: Server) -> None:
    hold_every_thread(echo)
    slow = [Caller(echo, address, "/hold") for address in ["203.0.113.1", "203.0.113.2"] * 4]
    wait_until(lambda: queued(echo) == 8)
    one = Caller(echo, "203.0.113.3", "/echo")
    wait_until(lambda: queued(echo) == 9)

    echo.get("/api/ready")  # once: four threads for nine

    wait_until(lambda: one.answer is not None)
    release(echo)
    assert [caller.status() for caller in [one, *slow]] == [200] * 9


def hold_anonymous(echo: Server, number: int) -> list[Caller]:
    """So many ask what anybody may ask, each from an address of their own: two of them have a
    thread."""
    crowd = [Caller(echo, f"203.0.113.{place}", f"{ANONYMOUS}?hold") for place in range(number)]
    wait_until(lambda: busy(echo) == 2 and queued(echo) == number - 2)
    return crowd


def test_a_crowd_of_anybody_leaves_threads_for_others_and_is_answered_in_turn(
    echo: Server,
) -> None:
    crowd = hold_anonymous(echo, 7)

    assert Caller(echo, "198.51.100.1", "/echo").status() == 200
    # Whoever waits so leaves a thread for what else is asked from there.
    assert Caller(echo, "203.0.113.6", "/echo").status() == 200

    release(echo)
    assert [caller.status() for caller in crowd] == [200] * 7


def test_a_crowd_of_anybody_has_half_of_the_places_of_those_who_wait(echo: Server) -> None:
    crowd = hold_anonymous(echo, 10)

    refused = Caller(echo, "198.51.100.1", ANONYMOUS)
    assert refused.status() == 400
    slow = hold(echo, "198.51.100.2", 2, until_busy=4)
    waiting = [Caller(echo, f"198.51.100.{number}", "/echo") for number in range(10, 18)]
    wait_until(lambda: queued(echo) == 16)

    release(echo)
    assert [caller.status() for caller in [*crowd, *slow, *waiting]] == [200] * 20


def test_who_comes_when_too_many_wait_is_asked_to_come_again(echo: Server) -> None:
    hold_every_thread(echo)
    # Sixteen places, half of them for one address at most.
    waiting = [Caller(echo, "203.0.113.1", "/echo") for _ in range(9)]
    wait_until(lambda: any(caller.answer is not None for caller in waiting))
    refused = next(caller.answer for caller in waiting if caller.answer is not None)
    assert refused.body == "RATE_LIMITED"
    waiting += [Caller(echo, f"203.0.113.{number}", "/echo") for number in range(10, 18)]
    wait_until(lambda: queued(echo) == 16)
    assert Caller(echo, "203.0.113.20", "/echo").status() == 400

    release(echo)

    assert sorted(caller.status() for caller in waiting) == [200] * 16 + [400]


def test_who_has_gone_before_its_turn_is_not_served(echo: Server) -> None:
    hold_every_thread(echo)
    for method, framing, body in (("GET", "X-A: 1", b""), ("POST", "Content-Length: 2", b"hi")):
        gone = connect(echo.base_url)
        gone.sendall(request_head(method, "/echo?gone", framing) + body)
        wait_until(lambda: queued(echo) == 1)
        gone.close()
        wait_until(lambda: queued(echo) == 0)

    release(echo)

    assert echo.get("/echo").status == 200
    assert "/echo?gone" not in echo.get("/api/health").body["served"]


def test_a_body_that_breaks_off_is_refused_in_its_turn(echo: Server) -> None:
    """Nothing but the body has ended: its client waits for the answer."""
    broken = ("Transfer-Encoding: chunked", b"zz\r\n")
    held = [Caller(echo, f"203.0.113.{number}", "/hold", *broken) for number in (1, 2)]
    wait_until(lambda: busy(echo) == 2)
    one = Caller(echo, "203.0.113.3", "/echo", *broken)
    wait_until(lambda: queued(echo) == 1 or one.answer is not None)

    release(echo)

    assert [caller.status() for caller in [one, *held]] == [400] * 3
