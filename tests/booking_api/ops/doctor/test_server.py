"""`manage.py doctor` before what answers at the server's address and is no server of ours."""

from __future__ import annotations

import json

import pytest
from pytest_django import Settings

from tests.booking_api.ops.doctor.patient import Report, examined
from tests.strangers import stranger

pytestmark = pytest.mark.django_db(transaction=True)

HEALTH = json.dumps({"service": "mocks-booking-api"}).encode()
READY = json.dumps({"service": "mocks-booking-api", "checks": {"database": "ok"}}).encode()


@pytest.fixture(autouse=True)
def token(settings: Settings) -> str:
    settings.METRICS_TOKEN = "new-token-0123456789, old-token-0123456789"
    return "new-token-0123456789"


def examined_at(url: str) -> Report:
    return examined("--offline", "--url", url)


def test_of_several_tokens_the_first_is_shown_and_only_for_the_metrics(token: str) -> None:
    with stranger(body=READY) as server:
        examined_at(server.base_url)

    assert {path: headers.get("Authorization") for _, path, headers in server.seen} == {
        "/api/health": None,
        "/api/ready": None,
        "/metrics": f"Bearer {token}",
    }


def test_an_answer_without_a_readiness_is_not_taken_for_one() -> None:
    with stranger(body=HEALTH) as server:
        report = examined_at(server.base_url)

    server_lines = [each for each in report.body["findings"] if each["area"] == "server"]
    assert [each["verdict"] for each in server_lines] == ["ok", "unknown"]
    assert "nothing of its readiness" in server_lines[1]["found"]


def test_nobody_is_followed_to_another_address() -> None:
    with stranger(body=HEALTH) as other, stranger(status=308, location=other.base_url) as first:
        report = examined_at(first.base_url)

    assert report.verdict("server") == "unknown"
    assert "sends on to another address (status 308)" in report.line("server")["found"]
    assert other.seen == []
