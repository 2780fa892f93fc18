"""Connections that PostgreSQL has closed while nobody used them: nobody's request fails. And a
PostgreSQL that falls silent while the line to it stands: nobody hangs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.desk import create_body
from tests.journeys.databases import settings_of
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving
from tests.swallowing_proxy import SwallowingProxy, proxy_before
from tests.waiting import eventually

pytestmark = pytest.mark.postgres

AT_ONCE = 8


@pytest.fixture
def portal(kind_sandbox: SandboxHandle) -> Portal:
    return Portal(kind_sandbox, load_profile("default"))


@pytest.fixture
def server(portal: Portal, database_url: str, tmp_path: Path) -> Iterator[Server]:
    with serving(portal.sandbox, tmp_path, **settings_of(database_url)) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Cut:
    """A server, and the proxy that leads to its database."""

    server: Server
    proxy: SwallowingProxy


@pytest.fixture
def cut(portal: Portal, database_url: str, tmp_path: Path) -> Iterator[Cut]:
    with proxy_before(database_url) as (proxy, url):
        impatient = {"REQUEST_DEADLINE_S": "2", **settings_of(url)}
        with serving(portal.sandbox, tmp_path, **impatient) as server:
            yield Cut(server, proxy)


def close_all_connections(database_url: str) -> int:
    """Do what a restart does; return how many there were."""
    address = urlsplit(database_url)
    with closing(
        psycopg.connect(urlunsplit(address._replace(path="/postgres")), autocommit=True)
    ) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [address.path.strip("/")],
        )
        return len(ended.fetchall())


def tell(server: Server) -> Answer:
    event = {"eventId": uuid.uuid4().hex, "subscriptionType": "object.unheardOf"}
    return server.post("/api/webhooks/booking-sync", [event])


def ask_at_once(server: Server, number: int = AT_ONCE) -> list[int]:
    """Have so many requests that need the database answered; return their statuses."""
    with ThreadPoolExecutor(number) as pool:
        return [answer.status for answer in pool.map(lambda _: tell(server), range(number))]


@pytest.mark.chaos
def test_no_request_fails_after_the_database_has_closed_all_connections(
    server: Server, portal: Portal, database_url: str
) -> None:
    assert ask_at_once(server) == [200] * AT_ONCE

    for number in (AT_ONCE, 1, AT_ONCE):
        assert close_all_connections(database_url) > 0
        assert ask_at_once(server, number) == [200] * number

    alice, exam = portal.student("alice"), portal.exam()
    close_all_connections(database_url)
    assert server.post("/api/bookings/create", create_body(alice, exam)).status == 201


@pytest.mark.chaos
def test_a_database_that_is_silent_is_a_503_for_all_who_need_it(cut: Cut, portal: Portal) -> None:
    """Their kernels still talk to each other: nothing but our own patience ends it."""
    people = [portal.student(name, credits=2) for name in ("alice", "bob")]
    exam = portal.exam()
    first, second = (create_body(student, exam) for student in people)
    assert cut.server.post("/api/bookings/create", first).status == 201
    cut.proxy.swallow()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [
            *(pool.submit(tell, cut.server) for _ in range(3)),
            *(pool.submit(cut.server.post, "/api/bookings/create", second) for _ in range(3)),
            pool.submit(cut.server.get, "/api/ready"),
        ]
    answers = [each.result() for each in asked]

    assert [answer.status for answer in answers] == [503] * len(answers)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert {answer.code for answer in answers[:-1]} == {"HUBSPOT_UNAVAILABLE"}
    cut.proxy.pass_on()
    eventually(lambda: tell(cut.server).status == 200)
    eventually(lambda: cut.server.post("/api/bookings/create", second).status in {200, 201})
