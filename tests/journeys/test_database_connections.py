"""Connections that PostgreSQL has closed while nobody used them: nobody's request fails."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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

pytestmark = pytest.mark.postgres

AT_ONCE = 8


@pytest.fixture
def portal(kind_sandbox: SandboxHandle) -> Portal:
    return Portal(kind_sandbox, load_profile("default"))


@pytest.fixture
def server(portal: Portal, database_url: str, tmp_path: Path) -> Iterator[Server]:
    with serving(portal.sandbox, tmp_path, **settings_of(database_url)) as running:
        yield running


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


def ask_at_once(server: Server, number: int = AT_ONCE) -> list[int]:
    """Have so many requests that need the database answered; return their statuses."""

    def ask(_: int) -> Answer:
        event = {"eventId": uuid.uuid4().hex, "subscriptionType": "object.unheardOf"}
        return server.post("/api/webhooks/booking-sync", [event])

    with ThreadPoolExecutor(number) as pool:
        return [answer.status for answer in pool.map(ask, range(number))]


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
