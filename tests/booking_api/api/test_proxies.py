"""What is believed of a request that says whom it is passed on for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api.api.proxies import client_address, resolve_client
from booking_api.ops.metrics import metrics
from tests.api import Api


def counted(labels: Mapping[str, str]) -> float:
    """Return how many headers were counted so far."""
    value = metrics().registry.get_sample_value("mocks_forwarding_headers_total", dict(labels))
    return 0.0 if value is None else value


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's word about himself
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the left end is anyone's
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies of ours
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("", "198.51.100.1", "unknown"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("::FFFF:cb00:7109", "", "203.0.113.9"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),  # our proxy, by a socket for both
        ("10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("10.0.0.1", "2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[::ffff:198.51.100.1]:4711", "198.51.100.1"),
        ("10.0.0.1", '"[2001:db8:1:2::9]:4711"', "2001:db8:1:2::/64"),
        ("10.0.0.1", '"198.51.100.1:80"', "198.51.100.1"),
        ("10.0.0.1", " \t198.51.100.1 \t,  10.0.0.2 ", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:80,10.0.0.2:81", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, , 10.0.0.2,", "198.51.100.1"),
        ("10.0.0.1", ",", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.1, _hidden", "10.0.0.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::/64"),
        ("64:ff9b::198.51.100.1", "", "198.51.100.1"),  # else all of IPv4 were one /64
        ("64:ff9b::10.0.0.1", "198.51.100.1", "10.0.0.1"),  # looks like a proxy, and is none
        ("2002:a00:1::1", "198.51.100.1", "2002:a00:1::/64"),
        ("10.0.0.1", "198.51.100.1" + ",10.0.0.2" * 200, "10.0.0.2"),  # further than is read
        ("10.0.0.1", "300.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.001", "10.0.0.1"),  # octal to some, decimal to others
    ],
)
def test_only_our_own_proxies_are_believed(
    peer: str, forwarded: str, expected: str, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)

    assert client_address(request) == expected


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "::ffff:10.0.0.1"),
        ("10.0.0.1/32", "::ffff:10.0.0.1"),
        ("2001:db8::/32", "2001:db8:9::1%eth0"),
        ("::1/128", "::1"),
    ],
)
def test_a_proxy_is_known_in_either_form_of_its_address(
    trusted: str, peer: str, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = [trusted]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR="198.51.100.1")

    assert client_address(request) == "198.51.100.1"


@given(remote=st.text(max_size=60), forwarded=st.text(max_size=2_000))
def test_whatever_is_written_somebody_is_counted(remote: str, forwarded: str) -> None:
    """Any text comes out as one client, and a stranger's header changes nothing."""
    client = resolve_client(remote, forwarded, ("10.0.0.0/8",))

    assert client == resolve_client(remote, "", ("10.0.0.0/8",))
    assert resolve_client("10.0.0.1", forwarded, ("10.0.0.0/8",)) != ""


@given(address=st.ip_addresses(), port=st.integers(1, 65_535))
def test_a_client_is_one_however_its_address_is_written(address: Any, port: int) -> None:
    """With a port, in brackets, in quotes, in capitals, or long, the client is the same."""
    in_brackets = f"[{address}]" if address.version == 6 else str(address)
    forms = (str(address), f"{in_brackets}:{port}", f'"{in_brackets}:{port}"', f" {address} ")
    forms += (address.exploded, str(address).upper())
    if address.version == 4:
        forms += (f"::ffff:{address}", f"[::ffff:{address}]:{port}", f"64:ff9b::{address}")

    clients = {resolve_client("10.0.0.1", form, ("10.0.0.1/32",)) for form in forms}

    assert len(clients) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP"]
)
@pytest.mark.parametrize(
    ("peer", "network"), [("203.0.113.9", "203.0.113.0/24"), ("192.168.7.7", "192.168.7.0/24")]
)
def test_a_proxy_that_is_not_named_is_told_to_operators_once(
    peer: str, network: str, header: str, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    labels = {"reason": "untrusted", "header": header}
    before = counted(labels)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            sent = {header: f"198.51.100.{number}"}
            api.send("GET", "/api/health", headers=sent, REMOTE_ADDR=peer)

    told = [record.msg for record in caplog.records if "forwarding" in str(record.msg)]
    assert [notice["peer"] for notice in told] == [network]
    assert "198.51.100" not in caplog.text
    assert peer not in caplog.text
    assert counted(labels) - before == 3


@pytest.mark.parametrize("header", ["Forwarded", "X-Real-IP"])
def test_a_proxy_of_ours_that_names_clients_where_nobody_reads_is_told_too(
    header: str, api: Api, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    labels = {"reason": "unread", "header": header}
    before = counted(labels)
    with caplog.at_level(logging.WARNING):
        named = {header: "198.51.100.7"}
        api.send("GET", "/api/health", headers=named, REMOTE_ADDR="10.0.0.1")
        both = named | {"X-Forwarded-For": "198.51.100.7"}
        api.send("GET", "/api/health", headers=both, REMOTE_ADDR="10.0.0.1")

    assert counted(labels) - before == 1
    assert caplog.text.count("forwarding_not_believed") == 1


def test_a_proxy_of_ours_is_nothing_to_be_told(
    api: Api, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    sent = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    with caplog.at_level(logging.WARNING):
        api.send("GET", "/api/health", headers=sent, REMOTE_ADDR="10.0.0.1")

    assert "forwarding" not in caplog.text


@pytest.mark.parametrize(("peer", "believed"), [("10.0.0.1", True), ("203.0.113.9", False)])
def test_only_our_own_proxies_can_say_that_a_request_came_by_https(
    peer: str, believed: bool, api: Api, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 60

    reply = api.send("GET", "/api/health", headers={"X-Forwarded-Proto": "https"}, REMOTE_ADDR=peer)

    # Django says this only to whom it takes for a caller by https.
    assert ("Strict-Transport-Security" in reply.headers) is believed
