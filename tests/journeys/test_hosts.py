"""Hosts that share PostgreSQL and Redis: their clocks differ, one vanishes, is frozen, or is cut
off for a moment. Whoever asks the others is served before a request's time is over.

A request's deadline stands for the clock: what is to be over within eight seconds is asked for by
one whose caller waits for eight.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Exam, Portal, Student
from tests.desk import create_body
from tests.faults.world import seats
from tests.journeys.databases import query, settings_of
from tests.manage import ROOT
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving
from tests.swallowing_proxy import SwallowingProxy, proxy_before
from tests.waiting import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

SKEWED = {"PYTHONPATH": str(ROOT / "tests" / "faults" / "skewed_clock")}
CREATE = "/api/bookings/create"
WRITING = "SELECT count(*) FROM booking_api_journalentry WHERE state = 'writing'"


@dataclass(slots=True)
class Hosts:
    """Two, each with a way of its own to the database they share."""

    portal: Portal
    database_url: str
    stack: ExitStack
    folder: Path
    environment: dict[str, str]

    def add(self, **environment: str) -> tuple[Server, SwallowingProxy]:
        proxy, url = self.stack.enter_context(proxy_before(self.database_url))
        own = {**self.environment, **settings_of(url), **environment}
        server = self.stack.enter_context(serving(self.portal.sandbox, self.folder, **own))
        return server, proxy

    def is_writing(self) -> bool:
        """Whether a desk is about to make a booking, or makes it."""
        return query(self.database_url, WRITING) == [(1,)]


@pytest.fixture
def hosts(
    kind_sandbox: SandboxHandle, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[Hosts]:
    environment = {"REDIS_URL": redis_url, "THROTTLE_WRITES": ""}
    with ExitStack() as stack:
        portal = Portal(kind_sandbox, load_profile("default"))
        yield Hosts(portal, database_url, stack, tmp_path, environment)


def book(server: Server, student: Student, exam: Exam) -> Answer:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    return server.post(CREATE, create_body(student, exam), **key)


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def all_of(server: Server) -> list[int]:
    return [server.pid, *workers_of(server.pid)]


@pytest.mark.chaos
def test_hosts_whose_clocks_differ_book_as_if_they_agreed(hosts: Hosts) -> None:
    late, _ = hosts.add()
    early, _ = hosts.add(**SKEWED, SKEW_S="90")
    exam = hosts.portal.exam(capacity=50)
    people = [hosts.portal.student(f"s{turn}") for turn in range(12)]

    for turn, student in enumerate(people):
        answer = book((late, early)[turn % 2], student, exam)
        assert answer.status == 201, (turn, answer.body)

    assert len(seats(hosts.portal)) == len(people)


@pytest.mark.chaos
def test_whoever_kills_the_desk_waits_eight_seconds_for_the_next(hosts: Hosts) -> None:
    first, _ = hosts.add()
    second, _ = hosts.add(REQUEST_DEADLINE_S="8.5")  # half a second is for the answer
    alice, bob = hosts.portal.student("alice"), hosts.portal.student("bob", credits=1)
    exam = hosts.portal.exam(capacity=9)
    hosts.portal.sandbox.fault("delay", path="/batch/create", nth=1, delay_ms=300)
    with closing(first.post_in_background(CREATE, create_body(alice, exam))):
        eventually(hosts.is_writing)
        for pid in all_of(first):
            os.kill(pid, signal.SIGKILL)

    answer = book(second, bob, exam)
    assert answer.status == 201, answer.body


@pytest.mark.chaos
def test_a_desk_that_is_frozen_inside_its_transaction_is_overtaken(hosts: Hosts) -> None:
    first, _ = hosts.add()
    second, _ = hosts.add(REQUEST_DEADLINE_S="9")
    bob, exam = hosts.portal.student("bob", credits=1), hosts.portal.exam(capacity=50)
    crowd = [hosts.portal.student(f"s{turn}") for turn in range(12)]
    frozen = freeze_in_transaction(hosts, first, crowd, exam)

    answer = book(second, bob, exam)
    assert answer.status == 201, answer.body
    go_on(frozen)
    eventually(lambda: first.get("/api/ready").status == 200)
    mallory = hosts.portal.student("mallory", credits=1)
    assert book(first, mallory, exam).status == 201


def go_on(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def freeze_in_transaction(
    hosts: Hosts, server: Server, crowd: list[Student], exam: Exam
) -> list[int]:
    """Stop the server while one of its transactions that holds the lease is open."""
    pids, open_ones = (
        all_of(server),
        (
            "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE a.datname = current_database() AND a.state = 'idle in transaction'"
            " AND l.relation = 'booking_api_lease'::regclass AND l.mode = 'RowExclusiveLock'"
        ),
    )
    with psycopg.connect(hosts.database_url, autocommit=True) as watching:
        for student in crowd:
            hosts.stack.enter_context(
                closing(server.post_in_background(CREATE, create_body(student, exam)))
            )
            for _ in range(400):
                if watching.execute(open_ones).fetchone() == (0,):
                    continue
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                if watching.execute(open_ones).fetchone() != (0,):
                    hosts.stack.callback(go_on, pids)
                    return pids
                go_on(pids)
    raise AssertionError("it never stood still inside a transaction")


@pytest.mark.chaos
def test_a_database_that_starts_anew_costs_three_seconds(hosts: Hosts) -> None:
    server, proxy = hosts.add(REQUEST_DEADLINE_S="4")
    alice, bob = hosts.portal.student("alice"), hosts.portal.student("bob", credits=1)
    exam = hosts.portal.exam(capacity=9)
    hosts.portal.sandbox.fault("delay", path="/batch/create", nth=1, delay_ms=1_500)
    with closing(server.post_in_background(CREATE, create_body(alice, exam))):
        eventually(hosts.is_writing)
        with proxy.refusing():
            eventually(lambda: server.get("/api/ready").status == 503)
        answer = book(server, bob, exam)

    assert answer.status == 201, answer.body
    eventually(lambda: len(seats(hosts.portal)) == 2)
