"""A balancer calls the machine by its address, an attacker by any name; only monitors may."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.server import ANSWER_TIMEOUT_S, Server

MONITORED = ("/api/health", "/api/health/", "/api/ready", "/api/ready/", "/metrics", "/metrics/")
OTHERS = ("/api/mock-exams/available", "/api/schema", "/api/unknown", "/api/health/more")
NAME = "booking.example.org"
AT_ONCE = 12
STRANGE = (
    "10.42.8.201:8000",
    "[2001:db8::1]:8000",
    "evil.example.org",
    "booking.example.org.evil.example.org",
    "booking.example.org@evil.example.org",
    "a_b c",
    "x" * 3_000,
)


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    strong = "".join(chr(ord("A") + number) for number in range(26)) * 2 + "0123456789"
    return {"DEBUG": "false", "SECRET_KEY": strong, "ALLOWED_HOSTS": NAME}


def status_of(server: Server, request: str) -> int | None:
    """Return the status of the answer to a request as it is written; None where there is none."""
    address = urlsplit(server.base_url)
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        while b"\r\n" not in answer:
            piece = connection.recv(4_096)
            if not piece:
                return None
            answer += piece
    return int(answer.split()[1])


@pytest.mark.parametrize("path", MONITORED)
def test_monitors_are_answered_by_any_name(server: Server, path: str) -> None:
    statuses = {host: server.send("GET", path, Host=host).status for host in (NAME, *STRANGE)}

    assert statuses == dict.fromkeys(statuses, 200)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("path", MONITORED)
def test_monitors_that_name_no_host_are_answered(server: Server, path: str) -> None:
    assert status_of(server, f"GET {path} HTTP/1.0\r\n\r\n") == 200
    # HTTP/1.1 demands a Host (RFC 9112, 3.2): our server does not.
    request = f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert status_of(server, request) == 200
    empty = f"GET {path} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"
    assert status_of(server, empty) == 200


@pytest.mark.parametrize("path", OTHERS)
def test_everybody_else_is_refused_by_another_name(server: Server, path: str) -> None:
    for host in STRANGE:
        answer = server.send("GET", path, Host=host)
        assert answer.status == 400, host
    refused = server.send("GET", path, Host="evil.example.org")
    assert refused.code == "VALIDATION_ERROR"
    assert server.send("GET", path, Host=NAME).status != 400 or path == OTHERS[0]


def test_strangers_behind_a_proxy_on_this_machine_do_not_read_the_metrics(server: Server) -> None:
    for header in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP"):
        answer = server.send("GET", "/metrics", **{header: "127.0.0.1"})
        assert (answer.status, answer.code) == (403, "ACCESS_DENIED")
    assert server.get("/metrics").status == 200


def test_the_first_who_ask_for_the_schema_at_once_all_get_it(server: Server) -> None:
    ready = threading.Barrier(AT_ONCE)

    def ask(_: int) -> int:
        ready.wait(ANSWER_TIMEOUT_S)
        return server.send("GET", "/api/schema", Host=NAME).status

    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert set(threads.map(ask, range(AT_ONCE))) == {200}
