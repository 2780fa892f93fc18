"""Many readers of what is not cached yet: one load for all, and nobody waits for others'."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from booking_api import composition
from cache_layer import Cause
from tests.api import Api, Reply
from tests.builders import Portal, Student
from tests.calls import LATENCIES_MS

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
READERS = 64
STUDENTS, BOOKINGS, CALLS_TOGETHER = 20, 50, 25
FOR_EVER_MS = 100_000
WAIT_LIMIT_S = 60


def test_64_readers_of_one_cold_list_make_one_load(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    with portal.at_once():
        exams = [portal.exam(in_days=1 + day) for day in range(5)]
    portal.bookings(alice, exams)
    portal.sandbox.configure(latency_ms=60)
    portal.sandbox.clear_calls()
    ready = threading.Barrier(READERS)

    def ask(_: int) -> Reply:
        ready.wait(WAIT_LIMIT_S)
        return Api().get(LIST, **alice.pair)

    with ThreadPoolExecutor(READERS) as pool:
        replies = list(pool.map(ask, range(READERS)))

    assert {reply.status for reply in replies} == {200}
    assert all(reply.data == replies[0].data for reply in replies)
    assert len(replies[0].data["bookings"]) == 5
    assert portal.sandbox.calls_count() <= 5


def test_20_students_on_cold_lists_of_50_share_their_calls(api: Api, portal: Portal) -> None:
    """Each hundred bookings are a call, ten in all; everything else is shared, two or three calls
    of a kind, one for whoever came first. Alone each student makes five: a hundred."""
    with portal.at_once():
        exams = [portal.exam(in_days=1 + day) for day in range(10)]
        students = [portal.student(f"user{number}") for number in range(STUDENTS)]
        for student in students:
            for turn in range(BOOKINGS):
                portal.booking(student, exams[turn % len(exams)])
    # On a busy machine they come one by one; far away, they find a call to share all the same.
    for latency_ms in LATENCIES_MS:
        composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
        portal.sandbox.configure(latency_ms=latency_ms)
        portal.sandbox.clear_calls()
        replies = ask_at_once(students)
        calls = portal.sandbox.calls_count()
        if calls <= CALLS_TOGETHER:
            break

    assert [reply.data["pagination"]["total"] for reply in replies] == [BOOKINGS] * STUDENTS
    assert calls <= CALLS_TOGETHER


def ask_at_once(students: list[Student]) -> list[Reply]:
    ready = threading.Barrier(len(students))

    def ask(student: Student) -> Reply:
        ready.wait(WAIT_LIMIT_S)
        return Api().get(LIST, **student.pair)

    with ThreadPoolExecutor(len(students)) as pool:
        return list(pool.map(ask, students))


def test_a_slow_cold_list_holds_up_nobody_elses(api: Api, portal: Portal) -> None:
    """Alice's associations hang; Charlie's list, just as cold, is answered meanwhile."""
    alice, charlie = portal.student("alice"), portal.student("charlie")
    exam = portal.exam(in_days=3)
    portal.booking(alice, exam)
    portal.booking(charlie, exam)
    answered = threading.Event()
    portal.sandbox.fault("delay", path="associations", nth=1, delay_ms=FOR_EVER_MS)

    def slow() -> Reply:
        reply = Api().get(LIST, **alice.pair)
        answered.set()
        return reply

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow)
        wait_until_it_hangs(portal)
        quick = api.get(LIST, **charlie.pair)
        assert not answered.is_set()
        assert len(quick.data["bookings"]) == 1
        portal.sandbox.clear_faults()
        assert len(waiting.result(WAIT_LIMIT_S).data["bookings"]) == 1


def wait_until_it_hangs(portal: Portal) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if portal.sandbox.faults()[0]["fired"] == 1:
            return
        pause.wait(0.01)
    raise AssertionError("no call met the fault")
