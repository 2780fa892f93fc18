"""Guessing the scheduler's secret, a token of staff, a password of the admin."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from tests.api import Api, Reply

JOB = "/api/cron/validate-cache-consistency"
STATS = "/api/admin/cache/stats"
LOGIN = "/admin/login/"
SECRET = "a-scheduler's-own-secret"
PASSWORD = "a long password of Olga's"
ELSEWHERE = "203.0.113.9"
FORM = "application/x-www-form-urlencoded"
NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few_allowed(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET
    settings.THROTTLE_RATES = {"failed_secrets": (3, 60), "failed_logins": (2, 3_600)}


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def olga() -> User:
    return User.objects.create_user("olga", password=PASSWORD, is_staff=True)


@pytest.fixture
def token() -> str:
    return Token.objects.create(user=User.objects.create_superuser("root")).key


def authorize(api: Api, path: str, authorization: str, **environ: str) -> Reply:
    return api.send("GET", path, headers={"Authorization": authorization}, **environ)


def log_in(api: Api, username: str, password: str, **environ: str) -> Reply:
    body = urlencode({"username": username, "password": password}).encode()
    return api.send("POST", LOGIN, body=body, content_type=FORM, **environ)


@pytest.mark.parametrize(
    ("path", "scheme"), [(JOB, "Bearer"), (JOB, "Token"), (STATS, "Token"), (STATS, "token")]
)
def test_the_wrong_secret_after_the_last_allowed_is_throttled(
    path: str, scheme: str, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        replies = [authorize(api, path, f"{scheme} wrong{number}") for number in range(5)]

    assert [reply.status for reply in replies] == [401] * 3 + [429] * 2
    assert (replies[4].code, replies[4].headers["Retry-After"]) == ("THROTTLED", "60")
    # One line for each that was counted, with a network and no address.
    assert caplog.text.count("wrong_secret") == 3
    assert "127.0.0.0/24" in caplog.text
    assert "127.0.0.1" not in caplog.text
    assert "wrong0" not in caplog.text


def test_wrong_secrets_and_wrong_tokens_are_counted_together(api: Api) -> None:
    schemes = ("Bearer", "Token", "Bearer", "Token")

    assert [authorize(api, JOB, f"{scheme} wrong").status for scheme in schemes] == [
        *(401, 401, 401),
        429,
    ]


def test_wrong_ones_lock_out_no_right_one_behind_the_same_address(api: Api, token: str) -> None:
    for number in range(20):
        authorize(api, JOB, f"Bearer wrong{number}")

    assert authorize(api, JOB, f"Bearer {SECRET}").status == 200
    assert authorize(api, STATS, f"Token {token}").status == 200
    assert authorize(api, STATS, f"Token {token}", REMOTE_ADDR=ELSEWHERE).status == 200


def test_a_flood_of_guesses_is_not_even_compared(api: Api, noon: time_machine.Traveller) -> None:
    for number in range(30):
        authorize(api, JOB, f"Bearer wrong{number}")

    assert authorize(api, JOB, f"Bearer {SECRET}").status == 429
    assert authorize(api, JOB, f"Bearer {SECRET}", REMOTE_ADDR=ELSEWHERE).status == 200
    noon.shift(60)
    assert authorize(api, JOB, f"Bearer {SECRET}").status == 200


def test_a_flood_locks_out_no_scheduler_that_was_let_in_from_there_before(
    api: Api, noon: time_machine.Traveller
) -> None:
    authorize(api, JOB, f"Bearer {SECRET}")
    noon.shift(29 * 86_400)
    for number in range(40):
        authorize(api, JOB, f"Bearer wrong{number}")

    assert authorize(api, JOB, f"Bearer {SECRET}").status == 200
    assert authorize(api, JOB, "Bearer wrong").status == 429


def test_right_secrets_use_up_nothing(api: Api) -> None:
    assert {authorize(api, JOB, f"Bearer {SECRET}").status for _ in range(35)} == {200}


@pytest.mark.parametrize("token", ["x" * 41, "é" * 20, "a\tb", ""])
def test_what_can_be_no_token_is_refused_like_a_wrong_one(token: str, api: Api) -> None:
    assert authorize(api, STATS, f"Token {token}").status == 401


def test_no_rate_is_no_limit(api: Api, settings: Settings) -> None:
    settings.THROTTLE_RATES = {"failed_secrets": None, "failed_logins": None}

    assert {authorize(api, JOB, "Bearer wrong").status for _ in range(40)} == {401}
    assert {log_in(api, "olga", "wrong").status for _ in range(40)} == {200}


def test_wrong_passwords_are_throttled_with_a_page(
    api: Api, olga: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        statuses = [log_in(api, "olga", f"wrong{number}").status for number in range(2)]
        refused = log_in(api, "olga", "wrong2")

    assert statuses == [200, 200]  # the form again
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3600")
    assert b"in 60 minutes" in refused.body
    assert caplog.text.count("wrong_secret") == 2
    assert "olga" not in caplog.text


def test_who_locks_an_administrator_out_does_so_at_his_own_address_alone(
    api: Api, olga: User, noon: time_machine.Traveller
) -> None:
    for _ in range(25):
        log_in(api, "olga", "wrong", REMOTE_ADDR=ELSEWHERE)

    assert log_in(api, "olga", PASSWORD, REMOTE_ADDR=ELSEWHERE).status == 429
    assert log_in(api, "olga", PASSWORD).status == 302
    noon.shift(3_600)
    assert log_in(api, "olga", PASSWORD, REMOTE_ADDR=ELSEWHERE).status == 302


def test_right_passwords_use_up_nothing(api: Api, olga: User) -> None:
    assert {log_in(api, "olga", PASSWORD).status for _ in range(5)} == {302}


@pytest.mark.parametrize("spelling", ["OLGA", " olga ", "\uff4f\uff4c\uff47\uff41", "olga\t"])
def test_the_spellings_of_a_user_name_are_one(spelling: str, api: Api, olga: User) -> None:
    for _ in range(2):
        log_in(api, spelling, "wrong")

    assert log_in(api, "olga", PASSWORD).status == 429


def test_trying_many_users_from_one_address_is_throttled(api: Api) -> None:
    statuses = [log_in(api, f"user{number}", "wrong").status for number in range(5)]

    assert statuses == [200] * 3 + [429] * 2


def test_tries_from_many_addresses_are_refused_but_where_the_user_was_let_in_before(
    api: Api, olga: User
) -> None:
    assert log_in(api, "olga", PASSWORD, REMOTE_ADDR=ELSEWHERE).status == 302
    statuses = [
        log_in(api, "olga", "wrong", REMOTE_ADDR=f"198.51.100.{number}").status
        for number in range(25)
    ]

    assert statuses == [200] * 20 + [429] * 5
    assert log_in(api, "olga", PASSWORD, REMOTE_ADDR=ELSEWHERE).status == 302


@pytest.mark.parametrize("username", ["o\0lga", "x" * 5_000, "", "\ud83d"])
def test_any_user_name_is_counted(username: str, api: Api) -> None:
    body = urlencode({"username": username, "password": "wrong"}, errors="surrogatepass").encode()
    statuses = [api.send("POST", LOGIN, body=body, content_type=FORM).status for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_the_form_itself_is_shown_however_many_were_wrong(api: Api) -> None:
    for _ in range(3):
        log_in(api, "olga", "wrong")

    assert api.get(LOGIN).status == 200
