"""Monitors call the machine as they like; everybody else calls it by its name."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.api import Api

MONITORED = ["/api/health", "/api/ready", "/metrics"]
OTHERS = [
    "/api/bookings/list",
    "/api/mock-exams/available",
    "/api/schema",
    "/api/docs",
    "/api/unknown",
    "/api/healthy",
    "/api/health/x",
    "/api/ready//",
    "/api",
]
WRONG = ["10.42.8.201:8000", "evil.example.org", "a b", "", "@", "[::1", "x" * 5_000, "é"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def production(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["booking.example.org"]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("host", WRONG)
@pytest.mark.parametrize("slash", ["", "/"])
def test_what_monitors_ask_is_answered_whatever_the_host(api: Api, host: str, slash: str) -> None:
    for path in MONITORED:
        for method in ("GET", "HEAD"):
            reply = api.send(method, path + slash, HTTP_HOST=host)
            assert (path, method, reply.status) == (path, method, 200)


def test_readiness_is_ready_by_any_name(api: Api) -> None:
    assert api.send("GET", "/api/ready", HTTP_HOST="10.42.8.201:8000").status == 200


@pytest.mark.parametrize("host", WRONG)
def test_every_other_address_refuses_a_wrong_host_in_the_envelope(api: Api, host: str) -> None:
    for path in OTHERS:
        reply = api.send("GET", path, HTTP_HOST=host)
        assert (path, reply.status, reply.code) == (path, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/login/", "/static/x.css"])
def test_so_do_the_pages(api: Api, path: str) -> None:
    assert api.send("GET", path, HTTP_HOST="evil.example.org").status == 400
    assert api.send("GET", path, HTTP_HOST="booking.example.org").status != 400


def test_no_answer_to_a_monitor_repeats_the_host(api: Api) -> None:
    for path in MONITORED:
        reply = api.send("GET", path, HTTP_HOST="evil.example.org")
        said = f"{reply.body!r} {dict(reply.headers)!r}"
        assert "evil" not in said
