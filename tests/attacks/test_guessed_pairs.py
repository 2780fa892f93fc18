"""Guessing student pairs from one address, many at once, and the class behind the same address."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.builders import Portal, Student
from tests.server import ANSWER_TIMEOUT_S, Answer, Server

LIST = "/api/bookings/list"
LIMIT = 30
GUESSES = 300


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return {"THROTTLE_FAILED_PAIRS": f"{LIMIT}/day", "TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def students(portal: Portal) -> list[Student]:
    with portal.at_once():
        return [portal.student(f"s{number}") for number in range(40)]


def asking(server: Server, address: str, **pair: str) -> Callable[[], Answer]:
    """Ask in the name of an address behind the proxy that the test is."""
    query = "&".join(f"{name}={value}" for name, value in pair.items())
    target = f"{LIST}?{query}"
    return lambda: server.send("GET", target, **{"X-Forwarded-For": address})


def all_at_once(asks: Sequence[Callable[[], Answer]]) -> list[Answer]:
    ready = threading.Barrier(len(asks))

    def one(ask: Callable[[], Answer]) -> Answer:
        ready.wait(ANSWER_TIMEOUT_S)
        return ask()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(one, asks))


@pytest.mark.parametrize(
    "guessed", ["e-mails", pytest.param("student ids", marks=pytest.mark.chaos)]
)
def test_300_guesses_at_once_are_30_look_ups(
    guessed: str, server: Server, portal: Portal, students: list[Student]
) -> None:
    alice = students[0]
    pairs = [
        alice.pair
        | ({"email": f"g{n}@example.org"} if guessed == "e-mails" else {"student_id": f"G{n}"})
        for n in range(GUESSES)
    ]
    address = "203.0.113.1" if guessed == "e-mails" else "2001:db8::1"
    portal.sandbox.clear_calls()

    answers = all_at_once([asking(server, address, **pair) for pair in pairs])

    told = Counter((answer.status, answer.code) for answer in answers)
    assert told == {(401, "AUTH_FAILED"): LIMIT, (429, "THROTTLED"): GUESSES - LIMIT}
    looked_up = sum(call["inputs"] for call in portal.sandbox.calls("objects.batch_read"))
    assert looked_up <= LIMIT
    assert not any("server-timing" in each.headers for each in answers if each.status == 401)


@pytest.mark.chaos
def test_a_class_works_on_behind_the_address_of_who_guesses(
    server: Server, students: list[Student]
) -> None:
    school = "198.51.100.7"
    came = all_at_once([asking(server, school, **student.pair) for student in students])
    assert Counter(answer.status for answer in came) == {200: len(students)}
    guesses = [asking(server, school, student_id=f"G{n}", email="g@example.org") for n in range(90)]
    works = [asking(server, school, **student.pair) for student in students]

    answers = all_at_once([*guesses, *works])

    assert {answer.status for answer in answers[:90]} == {401, 429}
    assert Counter(answer.status for answer in answers[90:]) == {200: len(students)}
