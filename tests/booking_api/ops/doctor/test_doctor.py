"""`manage.py doctor`: each kind of trouble made for real, and the line that says so."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from typing_extensions import override

from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.models import JournalEntry, Lease, RecountRequest
from booking_api.ops.doctor.clocks import Span, compare_date_header
from booking_api.ops.history.models import HistoryRow, JobRun
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.sandbox.config import Config as SandboxConfig
from tests.booking_api.ops.doctor.patient import examined, printed
from tests.sandbox import SandboxHandle
from tests.server import free_port
from tests.swallowing_proxy import proxy_before

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hubspot(kind_sandbox: SandboxHandle, settings: Settings) -> SandboxHandle:
    settings.DEBUG = True
    settings.HUBSPOT = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token)
    return kind_sandbox


@pytest.fixture
def at_work() -> None:
    """A process serves."""
    HistoryRow.objects.create(process="host:1", began_at=timezone.now(), span_s=60)


@pytest.mark.usefixtures("at_work")
def test_what_is_well_is_said_and_is_exit_code_0(hubspot: SandboxHandle) -> None:
    code, table = printed("--no-server")

    assert code == 0
    assert "HubSpot: scopes" in table
    assert "all applied" in table
    # The tests run in DEBUG, which no deployment should.
    assert "1 warning, " in table
    assert len(hubspot.calls()) < 20


def test_a_warning_fails_where_that_is_asked_for() -> None:
    assert examined().code == 0
    assert examined("--fail-on", "warning").code == 1


def test_nothing_is_changed(hubspot: SandboxHandle) -> None:
    hubspot.drop_property("contacts", "credit_write_marker")
    before = hubspot.calls_count()

    examined()

    methods = {(call["method"], call["operation"]) for call in hubspot.calls(since=before)}
    assert {operation for method, operation in methods if method != "GET"} == {"token.info"}
    assert list(Lease.objects.all()) == []


def test_hubspot_is_not_asked_offline(hubspot: SandboxHandle) -> None:
    report = examined("--offline")

    assert hubspot.calls_count() == 0
    assert "HubSpot" not in {each["area"] for each in report.body["findings"]}


# HubSpot


def test_a_token_that_hubspot_does_not_know(settings: Settings, hubspot: SandboxHandle) -> None:
    token = "pat-eu1-nobodys-token-at-all"
    settings.HUBSPOT = HubSpotConfig(base_url=hubspot.base_url, token=token)

    report = examined()

    assert (report.code, report.verdict("HubSpot", "token")) == (1, "wrong")
    assert "HS_PRIVATE_APP_TOKEN" in report.line("HubSpot", "token")["advice"]
    assert token not in json.dumps(report.body)


def test_a_scope_that_was_not_granted(hubspot: SandboxHandle) -> None:
    lost = "crm.objects.custom.write"
    scopes = [scope for scope in SandboxConfig().scopes if scope != lost]
    hubspot.configure(scopes=scopes)

    report = examined()

    assert (report.code, report.verdict("HubSpot", f"token {lost}")) == (1, "missing")


def test_a_service_key_whose_scopes_nobody_tells_is_well(hubspot: SandboxHandle) -> None:
    hubspot.configure(app_info="empty")

    assert examined().code == 0


def test_a_property_that_is_missing(hubspot: SandboxHandle) -> None:
    hubspot.drop_property("2-50158943", "seat_key")

    report = examined()

    line = report.line("HubSpot", "property bookings.seat_key")
    assert (report.code, line["verdict"]) == (1, "missing")
    assert "hubspot_check --apply" in line["advice"]


def test_a_day_that_is_nearly_used_up(hubspot: SandboxHandle, settings: Settings) -> None:
    hubspot.configure(daily_limit=100)
    settings.HUBSPOT = HubSpotConfig(
        base_url=hubspot.base_url, token=hubspot.token, daily_limit=1000
    )

    assert examined().verdict("HubSpot", "day") == "warning"


def test_a_portal_that_is_not_described(settings: Settings) -> None:
    settings.HUBSPOT_PORTAL = "nowhere"

    report = examined()

    assert (report.code, report.verdict("HubSpot", "profile")) == (1, "wrong")


def test_a_hubspot_that_is_not_there_is_not_known(settings: Settings) -> None:
    settings.HUBSPOT = HubSpotConfig(base_url=f"http://127.0.0.1:{free_port()}", token="some-token")

    report = examined()

    assert (report.code, report.verdict("HubSpot")) == (2, "unknown")
    assert report.verdict("clocks", "HubSpot") == "unknown"


@pytest.mark.usefixtures("quick")
def test_a_silent_hubspot_holds_up_nothing_else(settings: Settings, hubspot: SandboxHandle) -> None:
    with proxy_before(hubspot.base_url) as (proxy, url):
        proxy.swallow()
        settings.HUBSPOT = HubSpotConfig(base_url=url, token=hubspot.token)

        report = examined()

    assert (report.code, report.verdict("HubSpot")) == (2, "unknown")
    assert report.verdict("database", "migrations") == "ok"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is silent is waited for a second."""
    for name in ("MAX_CHECK_S", "MAX_SLOW_CHECK_S"):
        monkeypatch.setattr(f"booking_api.ops.doctor.examination.{name}", 1.0)
    monkeypatch.setattr("booking_api.ops.doctor.checks.MAX_SLOW_CHECK_S", 1.0)
    monkeypatch.setattr("booking_api.ops.doctor.hubspot_check.MAX_WAIT_S", 1.0)


# Clocks


class TimeTeller(BaseHTTPRequestHandler):
    """Refuses everything, and says what time it is somewhere else."""

    ahead = timedelta(0)

    @override
    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)

    def do_GET(self) -> None:
        self.send_error(404)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """What a test asks is no news."""


@pytest.mark.parametrize(
    ("ahead_s", "code", "verdict"),
    [(0, 2, "ok"), (30, 2, "warning"), (-30, 2, "warning"), (600, 1, "wrong"), (-600, 1, "wrong")],
)
def test_a_clock_that_goes_wrong(settings: Settings, ahead_s: int, code: int, verdict: str) -> None:
    """What else is asked there is refused, and so not known."""
    handler = type("Teller", (TimeTeller,), {"ahead": timedelta(seconds=ahead_s)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        settings.HUBSPOT = HubSpotConfig(base_url=address, token="a-token-of-ours")
        report = examined()
        server.shutdown()

    line = report.line("clocks", "HubSpot")
    assert (line["verdict"], report.code) == (verdict, code)
    assert ("ahead of ours" in line["found"]) == (ahead_s > 0)
    assert ("behind ours" in line["found"]) == (ahead_s < 0)


@pytest.mark.parametrize("header", [None, "", "yesterday", "Thu, 99 Nov 2026 13:00:00 GMT"])
def test_a_time_that_is_none(header: str | None) -> None:
    now = datetime.now(UTC)

    assert compare_date_header("it", header, Span(now, now)).verdict == "ok"


# The database


def test_a_migration_that_was_not_applied() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = 'cache'")
        last = max(row[0] for row in cursor.fetchall())
        cursor.execute("DELETE FROM django_migrations WHERE app = 'cache' AND name = %s", [last])
    try:
        report = examined("--offline")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('cache', %s, %s)",
                [last, timezone.now()],
            )

    line = report.line("database", "migrations")
    assert (report.code, line["verdict"], line["advice"]) == (1, "wrong", "manage.py migrate")
    assert f"cache.{last}" in line["found"]


def test_a_database_newer_than_the_code() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('booking_api', %s, %s)",
            ["9999_tomorrow", timezone.now()],
        )
    try:
        report = examined("--offline")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '9999_tomorrow'")

    line = report.line("database", "migrations")
    assert line["verdict"] == "warning"
    assert "booking_api.9999_tomorrow" in line["found"]


# Redis


def test_a_redis_that_is_not_there(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://:a-secret-of-redis@127.0.0.1:{free_port()}/0"

    report = examined("--offline")

    assert (report.code, report.verdict("Redis")) == (1, "wrong")
    assert "a-secret-of-redis" not in json.dumps(report.body)


# Webhooks and workers


def test_webhooks_that_never_came(settings: Settings) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = ["a-secret-of-hubspot"]

    assert examined("--offline").verdict("webhooks", "subscriptions") == "warning"


@pytest.mark.parametrize(("days", "verdict"), [(0, "ok"), (4, "warning")])
def test_webhooks_that_came_once(settings: Settings, days: int, verdict: str) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = ["a-secret-of-hubspot"]
    keep_event(days=days, state="applied")

    assert examined("--offline").verdict("webhooks", "subscriptions") == verdict


def keep_event(*, days: int, state: str) -> None:
    WebhookEvent.objects.create(
        digest="1" * 64,
        subscription="object.creation",
        kind="creation",
        raw="{}",
        receipt="00000000-0000-0000-0000-000000000000",
        state=state,
        received_at=timezone.now() - timedelta(days=days),
    )


def test_events_that_could_not_be_applied() -> None:
    keep_event(days=0, state="failed")

    assert examined("--offline").verdict("webhooks", "failed") == "warning"


def test_work_that_nobody_does() -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    keep_event(days=1, state="received")
    RecountRequest.objects.create(subject_id="5", asked_at=long_ago, next_attempt_at=long_ago)
    Lease.objects.create(name=LEASE_NAME, holder="host:1:5ec2e7", expires_at=long_ago, epoch=3)

    report = examined("--offline")

    assert report.verdict("workers", "processes") == "warning"
    assert report.verdict("workers", "webhook events") == "warning"
    assert report.verdict("workers", "recounts") == "warning"
    lease = report.line("workers", "booking desk")
    assert (lease["verdict"], lease["found"][:14]) == ("warning", "left by host:1")
    assert "5ec2e7" not in json.dumps(report.body)


def test_a_request_that_waits_is_wrong() -> None:
    JournalEntry.objects.create(
        kind="create",
        state="queued",
        idempotency_key="1",
        arrived_at=timezone.now() - timedelta(minutes=5),
        wanted_until=timezone.now(),
        changed_at=timezone.now(),
    )

    report = examined("--offline")

    assert (report.code, report.verdict("workers", "requests")) == (1, "wrong")


@pytest.mark.usefixtures("at_work")
def test_a_job_that_failed_and_one_that_is_late() -> None:
    now = timezone.now()
    JobRun.objects.create(job="recount", began_at=now, ended_at=now, failure="TimeoutError")
    JobRun.objects.create(
        job="prune", began_at=now - timedelta(hours=9), ended_at=now - timedelta(hours=9)
    )
    JobRun.objects.create(job="validate cache", began_at=now, ended_at=now)

    report = examined("--offline")

    assert "TimeoutError" in report.line("workers", "job: recount")["found"]
    assert report.bad() == {
        ("settings", "DEBUG"),
        ("workers", "job: recount"),
        ("workers", "job: prune"),
    }


@pytest.mark.usefixtures("at_work")
def test_the_lines_have_the_same_keys() -> None:
    assert {frozenset(line) for line in examined("--offline").body["findings"]} == {
        frozenset({"area", "subject", "verdict", "found", "advice"})
    }
