"""Fifty students open their lists at the same moment, and nothing is cached yet."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.builders import Portal, Student
from tests.server import Answer, Server

USERS = 50


def test_fifty_users_at_once_on_cold_lists_are_all_served(server: Server, portal: Portal) -> None:
    with portal.at_once():
        exams = [portal.exam(in_days=1 + day) for day in range(10)]
        students = [portal.student(f"user{number}") for number in range(USERS)]
        for student in students:
            for exam in exams:
                portal.booking(student, exam)
    # Far away, so that who comes late on a busy machine still finds a call to share.
    portal.sandbox.configure(latency_ms=200, jitter_ms=20)
    portal.sandbox.clear_calls()
    together = threading.Barrier(USERS)

    def ask(student: Student) -> Answer:
        together.wait(timeout=60)
        return server.get("/api/bookings/list", **student.pair)

    with ThreadPoolExecutor(USERS) as pool:
        answers = list(pool.map(ask, students))

    assert [answer.status for answer in answers] == [200] * USERS
    totals = [answer.body["data"]["pagination"]["total"] for answer in answers]
    assert totals == [len(exams)] * USERS
    assert portal.sandbox.calls_count(status=429) == 0
    # Who asks at the same moment shares calls; alone, each would make five.
    assert portal.sandbox.calls_count() < 5 * USERS / 2
