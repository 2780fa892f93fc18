"""What is believed of a request that says whom it is passed on for."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from booking_api.api.proxies import client_address
from tests.api import Api


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
    ],
)
def test_only_our_own_proxies_are_believed(
    peer: str, forwarded: str, expected: str, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)

    assert client_address(request) == expected


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
