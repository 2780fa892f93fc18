"""The API behind nginx as both are deployed: who is asking, by which name, and how large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.deployment.own_nginx import NAME, OwnNginx, running_nginx
from tests.sandbox import SandboxHandle
from tests.server import Answer, serving
from tests.webhooks import BOOKING_SYNC, SECRET, Events, signed

JSON = {"Content-Type": "application/json"}
GUESSES = 3


@dataclass(frozen=True, slots=True)
class Deployed:
    nginx: OwnNginx
    portal: Portal


@pytest.fixture(scope="module")
def deployed(
    sandbox_process: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    folder: Path = tmp_path_factory.mktemp("api")
    environment = {
        "ENV_FILE": "",
        "DEBUG": "false",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ALLOWED_HOSTS": NAME,
        "TRUSTED_PROXIES": "127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": f"https://{NAME}",
        "HUBSPOT_WEBHOOK_SECRET": SECRET,
        "HUBSPOT_WEBHOOK_SIGNATURES": "v3",
        "THROTTLE_FAILED_PAIRS": f"{GUESSES}/hour",
        "LOG_LEVEL": "ERROR",
    }
    sandbox_process.reset()
    portal = Portal(sandbox_process, load_profile("default"))
    sandbox_process.kind()
    with serving(sandbox_process, folder, **environment) as server:
        port = urlsplit(server.base_url).port or 0
        with running_nginx(folder / "etc", [port, port]) as nginx:
            yield Deployed(nginx, portal)


@pytest.fixture(autouse=True)
def from_here(deployed: Deployed) -> Iterator[None]:
    yield
    deployed.nginx.source = "127.0.0.1"


@pytest.mark.parametrize(
    ("query", "as_signed"),
    # HubSpot decodes some signs before it signs, and leaves out an empty query.
    [("", ""), ("?a=%2Fb%3A&c=%41+d", "?a=/b:&c=%41+d"), ("?", ""), ("?//;x=1", "?//;x=1")],
)
def test_a_delivery_is_right_by_the_address_that_hubspot_called(
    query: str, as_signed: str, deployed: Deployed
) -> None:
    """Which the API knows from what nginx tells: PUBLIC_BASE_URL is not set."""
    events = Events(deployed.portal.profile)
    body = json.dumps([events.changed("901")]).encode()

    def deliver(scheme: str) -> Answer:
        signature = signed(body, f"{scheme}://{NAME}{BOOKING_SYNC}{as_signed}")
        return deployed.nginx.send("POST", f"{BOOKING_SYNC}{query}", body, {**JSON, **signature})

    taken, refused = deliver("https"), deliver("http")

    assert (taken.status, taken.body.get("processed")) == (200, 1)
    assert (refused.status, refused.code) == (401, "INVALID_SIGNATURE")


def test_who_guesses_is_counted_by_the_address_that_nginx_saw(deployed: Deployed) -> None:
    nginx = deployed.nginx
    nginx.source = "127.0.0.7"
    pair = urlencode({"student_id": "S1001", "email": "nobody@example.org"})

    statuses = [
        nginx.send(
            "GET", f"/api/bookings/list?{pair}", headers={"X-Forwarded-For": f"203.0.113.{turn}"}
        ).status
        for turn in range(GUESSES + 2)
    ]

    assert statuses == [401] * GUESSES + [429] * 2
    nginx.source = "127.0.0.8"
    assert nginx.send("GET", f"/api/bookings/list?{pair}").status == 401


def test_answers_are_those_of_https(deployed: Deployed) -> None:
    answer = deployed.nginx.send("GET", "/api/health")

    assert answer.status == 200
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    login = deployed.nginx.send("GET", "/admin/login/")
    assert "secure" in login.headers["set-cookie"].lower()


def test_a_body_that_nginx_lets_through_is_refused_by_neither_for_its_length(
    deployed: Deployed,
) -> None:
    body = b'{"x": "' + b"a" * (1_048_576 - 9) + b'"}'

    answer = deployed.nginx.send("POST", "/api/mock-exams/validate-credits", body, JSON)

    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
