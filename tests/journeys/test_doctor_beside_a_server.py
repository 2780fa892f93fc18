"""`manage.py doctor` beside a server, a PostgreSQL and a Redis of its own, well and ill."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from tests.booking_api.ops.doctor.patient import Report
from tests.manage import PRODUCTION, manage
from tests.sandbox import SandboxHandle
from tests.server import serving
from tests.swallowing_proxy import proxy_before

pytestmark = [pytest.mark.timeout(120), pytest.mark.postgres, pytest.mark.redis]


def examined(*arguments: str, **environment: str) -> Report:
    ended = manage("doctor", "--json", *arguments, **environment)
    assert ended.stdout.startswith("{"), ended.stderr
    return Report(ended.returncode, json.loads(ended.stdout))


@pytest.fixture
def production(kind_sandbox: SandboxHandle, database_url: str, redis_url: str) -> dict[str, str]:
    """A deployment's environment, before an empty portal."""
    return PRODUCTION | {
        "HUBSPOT_BASE_URL": kind_sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": kind_sandbox.token,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
    }


def test_a_deployment_is_well_and_a_proxy_that_nobody_named_is_seen(
    production: dict[str, str], kind_sandbox: SandboxHandle, tmp_path: Path
) -> None:
    with serving(kind_sandbox, tmp_path, DEBUG="false", **production) as server:
        server.get("/api/bookings/list")
        well = examined("--url", server.base_url, **production)
        server.send("GET", "/api/health", None, **{"X-Forwarded-For": "192.0.2.7"})
        server.post("/api/webhooks/booking-sync", b"[]")
        seen = examined("--url", server.base_url, **production)

    assert well.code == 0
    # Nothing was told, and nobody has written down yet that he serves.
    assert well.bad() - {("workers", "processes")} == {("webhooks", "subscriptions")}
    assert well.verdict("clocks", "database") == well.verdict("clocks", "Redis") == "ok"
    assert "this deployment's are under" in well.line("Redis", "entries")["found"]
    assert (seen.verdict("server", "proxies"), seen.verdict("server", "signatures")) == (
        ("warning",) * 2
    )
    assert "TRUSTED_PROXIES" in seen.line("server", "proxies")["advice"]
    assert "192.0.2.7" not in json.dumps(seen.body)


@pytest.mark.chaos
def test_what_is_silent_is_named_and_holds_up_nothing_else(production: dict[str, str]) -> None:
    with (
        proxy_before(production["DATABASE_URL"]) as (database, database_url),
        proxy_before(production["REDIS_URL"]) as (redis, redis_url),
    ):
        database.swallow()
        redis.swallow()
        ill = production | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}

        report = examined("--no-server", **ill)

    assert report.code == 1
    assert report.verdict("database") == report.verdict("Redis") == "wrong"
    assert report.verdict("workers") == report.verdict("webhooks") == "unknown"
    assert report.verdict("HubSpot", "scopes") == "ok"


@pytest.mark.chaos
def test_a_redis_and_a_role_that_keep_no_promises(production: dict[str, str]) -> None:
    with Redis.from_url(production["REDIS_URL"]) as redis:
        redis.config_set("maxmemory", "100mb")
        redis.config_set("maxmemory-policy", "allkeys-lru")
    unlimited = "-c%20default_transaction_read_only%3Don%20-c%20lock_timeout%3D0"
    address = f"{production['DATABASE_URL']}?options={unlimited}"

    report = examined("--no-server", "--offline", **production | {"DATABASE_URL": address})

    assert report.code == 1
    assert "allkeys-lru" in report.line("Redis", "memory")["found"]
    assert report.verdict("Redis", "memory") == report.verdict("database", "writes") == "wrong"
    assert "lock_timeout" in report.line("database", "limits")["found"]


@pytest.mark.chaos
def test_why_a_database_cannot_be_used_is_said(production: dict[str, str]) -> None:
    address = urlsplit(production["DATABASE_URL"])._replace(path="/nowhere_at_all")

    report = examined("--no-server", "--offline", **production | {"DATABASE_URL": address.geturl()})

    assert (report.code, report.verdict("database")) == (1, "wrong")
    assert "does not exist" in report.line("database")["found"]
