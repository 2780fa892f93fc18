"""Slow clients and many: what they hold is no thread, and others go on being answered."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import Portal, Student
from tests.manage import PRODUCTION, ROOT
from tests.raw import connect, read_answer, request_head
from tests.server import STOP_TIMEOUT_S, Server, free_port, wait_until_it_answers

HALF_BODY = request_head("POST", "/api/bookings/create", "Content-Length: 1000") + b"{"
LARGE_FILE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    # DEBUG serves static files unbuilt.
    return {"SERVER_THREADS": "4", "BODY_TIMEOUT_S": "2", "DEBUG": "true"}


@contextmanager
def holding(server: Server, number: int, raw: bytes) -> Iterator[list[socket.socket]]:
    """Hold so many connections on which these bytes were sent."""
    connections = []
    try:
        for _ in range(number):
            connection = connect(server.base_url)
            connection.sendall(raw)
            connections.append(connection)
        yield connections
    finally:
        for connection in connections:
            connection.close()


@pytest.fixture(scope="module")
def alice(portal: Portal) -> Student:
    return portal.student("alice")


def assert_served(server: Server, alice: Student) -> None:
    assert server.get("/api/health").status == 200
    assert server.get("/api/bookings/list", **alice.pair).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"POST /api/bookings/create HT",
        b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        HALF_BODY,
        request_head("POST", "/api/webhooks/booking-sync", "Transfer-Encoding: chunked") + b"5\r\n",
        request_head("POST", "/admin/login/", "Content-Length: 1000") + b"a",
        request_head("GET", LARGE_FILE) + request_head("GET", LARGE_FILE),
    ],
    ids=["silent", "half a head", "kept alive", "half a body", "half a chunk", "login", "unread"],
)
def test_whatever_they_leave_unfinished_others_are_served(
    raw: bytes, server: Server, alice: Student
) -> None:
    with holding(server, 100, raw):
        assert_served(server, alice)


@pytest.mark.chaos
def test_a_stop_does_not_wait_for_bodies(tmp_path: Path) -> None:
    port = free_port()
    own = {"ENV_FILE": "", "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)],
        cwd=ROOT,
        # Bodies have more time than a server has to stop.
        env=os.environ | PRODUCTION | own | {"BODY_TIMEOUT_S": "300", "SERVER_THREADS": "4"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(base_url=f"http://127.0.0.1:{port}")
    try:
        wait_until_it_answers(server, process)
        with holding(server, 30, HALF_BODY) as connections:
            assert server.get("/api/health").status == 200
            process.send_signal(signal.SIGTERM)
            answers = [read_answer(connection) for connection in connections]
        assert process.wait(timeout=STOP_TIMEOUT_S) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    assert {answer.body["code"] for answer in answers} == {"RATE_LIMITED"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("number", "raw"), [(2_000, b""), (500, HALF_BODY)])
def test_in_full(number: int, raw: bytes, server: Server, alice: Student) -> None:
    with with_many_files(), holding(server, number, raw):
        for _ in range(50):
            assert_served(server, alice)


@contextmanager
def with_many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
