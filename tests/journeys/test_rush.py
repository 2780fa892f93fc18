"""Three hundred students at once for the hundred seats of one exam, in `make test` fewer, and one
student's many clicks.

Over sockets against real server processes, with HubSpot a tenth of a second away and its limits on.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.builders import Exam, Portal, Student
from tests.desk import CREATE, active_bookings, create_body, credit_of, stored_total
from tests.journeys.databases import query, settings_of
from tests.migrated import copy_migrated_file
from tests.server import Answer, Server, serving

ALL, FEWER = (100, 300), (40, 120)
"""How many seats there are, and how many students come for them."""
TOO_FAR = 100
"""More calls to HubSpot than this, and they were not served in groups."""
WITHIN_S = 60
LOOK_S = 0.1
ANSWERED_WITHIN_S = 60
NOT_DONE = (
    "SELECT count(*) FROM booking_api_journalentry WHERE state NOT IN ('done', 'refused')",
    "SELECT count(*) FROM booking_api_outboxnote WHERE state <> 'sent'",
    "SELECT count(*) FROM booking_api_recountrequest",
)


@contextmanager
def processes(
    number: int, portal: Portal, url: str, folder: Path, **more: str
) -> Iterator[list[Server]]:
    """So many servers with one database."""
    environment = {**settings_of(url), "THROTTLE_WRITES": "", **more}
    with ExitStack() as stack:
        yield [
            stack.enter_context(serving(portal.sandbox, folder, **environment))
            for _ in range(number)
        ]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return copy_migrated_file(tmp_path / "rush.sqlite3")


def all_at_once(asked: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Ask everything at the same moment; return the answers in the order of the questions."""
    answers: list[Answer | None] = [None] * len(asked)
    barrier = threading.Barrier(len(asked))

    def ask(place: int, question: Callable[[], Answer]) -> None:
        barrier.wait(ANSWERED_WITHIN_S)
        answers[place] = question()

    threads = [threading.Thread(target=ask, args=each) for each in enumerate(asked)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWERED_WITHIN_S)
    assert None not in answers
    return [answer for answer in answers if answer is not None]


def wait_until_done(url: str) -> None:
    pause = threading.Event()
    for _ in range(int(WITHIN_S / LOOK_S)):
        left = [query(url, each)[0][0] for each in NOT_DONE]
        if not any(left):
            return
        pause.wait(LOOK_S)
    raise AssertionError(f"still not done: {left}")


def booking(server: Server, student: Student, exam: Exam, key: str | None = None) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return server.post(CREATE, create_body(student, exam), **headers)


def rush(portal: Portal, servers: Sequence[Server], url: str, *, seats: int, comers: int) -> int:
    """Let them all come; check what they got; return how many requests were passed over, that is,
    came before the last that got a seat and got none."""
    with portal.at_once():
        exam = portal.exam(capacity=seats)
        students = [portal.student(f"s{number}", credits=1) for number in range(comers)]
    portal.sandbox.configure(latency_ms=100)
    portal.sandbox.clear_calls()

    def asking(place: int, student: Student) -> Callable[[], Answer]:
        return lambda: booking(servers[place % len(servers)], student, exam)

    answers = all_at_once([asking(*each) for each in enumerate(students)])
    wait_until_done(url)

    calls = portal.sandbox.calls()
    portal.sandbox.configure(latency_ms=0)
    outcomes = Counter((answer.status, answer.body.get("code", "")) for answer in answers)
    got = [one for one, answer in zip(students, answers, strict=True) if answer.status == 201]
    names = Counter(f"{call['operation']} {call['object_type']}" for call in calls)
    print(f"\n{len(calls)} calls: {dict(names)}")
    assert outcomes == {(201, ""): seats, (400, "EXAM_FULL"): comers - seats}
    assert len(active_bookings(portal, exam)) == stored_total(portal, exam) == seats
    contacts = portal.sandbox.records(portal.profile.object_types.contacts)
    credit = portal.first_type.credit_property
    charged = {one["id"] for one in contacts if one["properties"][credit] == "0"}
    assert charged == {one.id for one in got}
    assert [call for call in calls if call["status"] == 429] == []
    assert len(calls) <= TOO_FAR
    return passed_over(url)


def passed_over(url: str) -> int:
    states = [
        state for (state,) in query(url, "SELECT state FROM booking_api_journalentry ORDER BY id")
    ]
    last = max(place for place, state in enumerate(states) if state == "done")
    return last + 1 - states.count("done")


@pytest.mark.parametrize(("seats", "comers"), [FEWER, pytest.param(*ALL, marks=pytest.mark.chaos)])
def test_a_rush_sells_every_seat_once(
    seats: int, comers: int, portal: Portal, sqlite_url: str, tmp_path: Path
) -> None:
    with processes(1, portal, sqlite_url, tmp_path) as servers:
        left_out = rush(portal, servers, sqlite_url, seats=seats, comers=comers)

    assert left_out == 0, "first come, first served"


@pytest.mark.chaos
@pytest.mark.postgres
@pytest.mark.redis
def test_a_rush_on_four_processes_sells_every_seat_once(
    portal: Portal, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Numbers are given out before rows can be seen: a few may be passed over."""
    seats, comers = ALL
    with processes(4, portal, database_url, tmp_path, REDIS_URL=redis_url) as servers:
        left_out = rush(portal, servers, database_url, seats=seats, comers=comers)

    assert left_out <= comers // 10


@pytest.mark.chaos
def test_many_clicks_are_one_booking(portal: Portal, sqlite_url: str, tmp_path: Path) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    bob, exam, other = portal.student("ben", credits=1), portal.exam(), portal.exam(in_days=9)
    with processes(1, portal, sqlite_url, tmp_path) as (server,):
        with_key = all_at_once([lambda: booking(server, alice, exam, "key-1")] * 20)
        without = all_at_once([lambda: booking(server, charlie, exam)] * 20)
        two = all_at_once([lambda: booking(server, bob, exam), lambda: booking(server, bob, other)])
        wait_until_done(sqlite_url)

    assert [answer.status for answer in with_key].count(201) == 1
    assert {told(answer) for answer in with_key} <= {
        (201, ""),
        (200, ""),
        (409, "REQUEST_IN_PROGRESS"),
    }
    assert Counter(answer.status for answer in without) == {201: 1, 200: 19}
    assert sorted(answer.body.get("code", "") for answer in two) == ["", "INSUFFICIENT_CREDITS"]
    assert len(active_bookings(portal, exam)) + len(active_bookings(portal, other)) == 3
    assert [credit_of(portal, one) for one in (alice, charlie, bob)] == [4, 4, 0]
    assert stored_total(portal, exam) == len(active_bookings(portal, exam))


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body.get("code", "")
