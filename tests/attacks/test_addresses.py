"""Clients that write who they are, or are written down differently, to be counted afresh."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from itertools import count
from urllib.parse import urlsplit

import pytest

from tests.builders import Portal
from tests.server import ANSWER_TIMEOUT_S, Server

LIST = "/api/bookings/list"
LIMIT = 3
NUMBERS = count()


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return {"TRUSTED_PROXIES": "127.0.0.0/30", "THROTTLE_FAILED_PAIRS": f"{LIMIT}/hour"}


def name_nobody() -> str:
    """Return a question in the name of somebody else each time: who is guessed too often is
    refused wherever the guess comes from."""
    number = next(NUMBERS)
    return f"{LIST}?student_id=S99{number}&email=nobody{number}@example.org"


def guess(server: Server, forwarded: str) -> int:
    """Name a pair that is wrong, as whom the proxy says; return the status."""
    return server.send("GET", name_nobody(), **{"X-Forwarded-For": forwarded}).status


@pytest.mark.parametrize(
    ("forms", "other"),
    [
        (
            ("203.0.113.1", "203.0.113.1:4711", '"203.0.113.1:80"', "::ffff:203.0.113.1"),
            "203.0.113.2:4711",
        ),
        (
            ("[2001:db8:1::1]:4711", "2001:db8:1::2", '"[2001:db8:1:0:9::]"', "2001:DB8:1::3%eth0"),
            "[2001:db8:2::1]:4711",
        ),
        # What stands further left is the client's own word.
        (
            ("192.0.2.1, 203.0.113.5", "192.0.2.2,203.0.113.5", "x, 203.0.113.5", "203.0.113.5,"),
            "203.0.113.6",
        ),
        # Several proxies of ours, one of them seen by a socket for both kinds of address.
        (
            (
                "203.0.113.7, 127.0.0.2",
                "203.0.113.7,::ffff:127.0.0.1",
                "203.0.113.7",
                "203.0.113.7",
            ),
            "203.0.113.8",
        ),
    ],
)
def test_a_client_is_one_however_the_proxy_writes_it(
    forms: tuple[str, ...], other: str, server: Server
) -> None:
    assert [guess(server, form) for form in forms] == [401] * LIMIT + [429]
    assert guess(server, other) == 401


def test_a_site_with_65536_networks_is_counted_as_a_whole_too(server: Server) -> None:
    statuses = [guess(server, f"2001:db8:77:{network:x}::1") for network in range(8 * LIMIT + 2)]

    assert statuses == [401] * 8 * LIMIT + [429] * 2
    assert guess(server, "2001:db8:78::1") == 401


def test_of_two_headers_the_last_is_the_proxys(server: Server) -> None:
    address = urlsplit(server.base_url)
    statuses = []
    for number in range(LIMIT + 1):
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=ANSWER_TIMEOUT_S
        )
        connection.putrequest("GET", name_nobody())
        connection.putheader("X-Forwarded-For", f"192.0.2.{number}")
        connection.putheader("X-Forwarded-For", "203.0.113.30")
        connection.endheaders()
        statuses.append(connection.getresponse().status)
        connection.close()

    assert statuses == [401] * LIMIT + [429]


def test_neither_of_the_other_headers_names_a_client(server: Server, portal: Portal) -> None:
    statuses = [
        server.send(
            "GET",
            name_nobody(),
            **{
                "Forwarded": f"for=198.51.100.{number}",
                "X-Real-IP": f"198.51.100.{number}",
                "X-Forwarded-For": "203.0.113.20",
            },
        ).status
        for number in range(LIMIT + 1)
    ]

    assert statuses == [401] * LIMIT + [429]
