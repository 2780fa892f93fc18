"""Who may read the metrics: the operator's networks, and whoever has the token."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.api import Api, Reply

TOKEN = "a-token-of-more-than-sixteen-characters"
ELSEWHERE = "203.0.113.9"

pytestmark = pytest.mark.django_db


def ask(api: Api, remote: str, path: str = "/metrics", **meta: str) -> Reply:
    return api.send("GET", path, REMOTE_ADDR=remote, **meta)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_this_machine_may_in_every_form_of_its_address(api: Api, remote: str, path: str) -> None:
    reply = ask(api, remote, path)

    assert reply.status == 200
    assert b"mocks_request_seconds" in reply.body


@pytest.mark.parametrize(
    "remote", [ELSEWHERE, "10.0.0.1", "2001:db8::1", "::2", "::ffff:10.0.0.1", "", "unix:", "x"]
)
def test_nobody_else_may_and_is_told_so_in_the_envelope(api: Api, remote: str) -> None:
    reply = ask(api, remote)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert reply.body["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "header",
    [
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_FORWARDED",
        "HTTP_X_REAL_IP",
    ],
)
def test_a_proxy_that_is_not_ours_makes_nobody_local(api: Api, header: str) -> None:
    for said in ("127.0.0.1", "https", ""):
        assert ask(api, "127.0.0.1", **{header: said}).status == 403


@pytest.mark.parametrize(
    ("forwarded_for", "status"),
    [
        ("127.0.0.1", 200),
        ("10.0.0.7", 200),
        ("10.0.0.7:51234", 200),
        (f"127.0.0.1, {ELSEWHERE}", 403),
        (f"{ELSEWHERE}, 10.0.0.7", 200),
        (ELSEWHERE, 403),
        ("unknown", 403),
        ("", 403),
    ],
)
def test_our_own_proxy_is_believed(
    api: Api, settings: Settings, forwarded_for: str, status: int
) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.1"]
    settings.METRICS_NETWORKS = ["127.0.0.0/8", "10.0.0.0/8"]

    assert ask(api, "192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded_for).status == status


def test_our_own_proxy_that_does_not_say_for_whom_it_asks_is_nobody(
    api: Api, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]

    assert ask(api, "127.0.0.1", HTTP_X_FORWARDED_PROTO="https").status == 403
    assert ask(api, "127.0.0.1").status == 200


@pytest.mark.parametrize("configured", [TOKEN, f"a-newer-token-than-that,{TOKEN}"])
@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}"])
def test_the_token_is_enough_from_anywhere(
    api: Api, settings: Settings, authorization: str, configured: str
) -> None:
    settings.METRICS_TOKEN = configured

    reply = ask(
        api, ELSEWHERE, HTTP_AUTHORIZATION=authorization, HTTP_X_FORWARDED_FOR="198.51.100.1"
    )

    assert reply.status == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Token {TOKEN}", f"Bearer {TOKEN}x", TOKEN, "Bearer \xff"],
)
def test_anything_else_is_not(api: Api, settings: Settings, authorization: str) -> None:
    settings.METRICS_TOKEN = TOKEN

    assert ask(api, ELSEWHERE, HTTP_AUTHORIZATION=authorization).status == 403


def test_without_a_token_nobody_has_it(api: Api, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""

    assert ask(api, ELSEWHERE, HTTP_AUTHORIZATION="Bearer ").status == 403


def test_who_guesses_the_token_is_slowed_down(api: Api, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_secrets": (2, 60)}

    replies = [ask(api, ELSEWHERE, HTTP_AUTHORIZATION=f"Bearer {n}") for n in range(3)]

    assert [reply.status for reply in replies] == [403, 403, 429]
    assert int(replies[-1].headers["Retry-After"]) == replies[-1].body["retryAfter"] > 0


def test_no_network_at_all_is_the_token_alone(api: Api, settings: Settings) -> None:
    settings.METRICS_NETWORKS = []
    settings.METRICS_TOKEN = TOKEN

    assert ask(api, "127.0.0.1").status == 403
    assert ask(api, "127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == 200
