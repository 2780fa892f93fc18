"""Health, readiness, metrics, the schema and its page."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from django.contrib.staticfiles import finders

from tests.api import Api
from tests.builders import Portal


def test_health_asks_nobody_and_is_read_flat(api: Api, portal: Portal) -> None:
    portal.sandbox.clear_calls()

    reply = api.get("/api/health")

    assert reply.status == 200
    assert reply.body["status"] == reply.data["status"] == "healthy"
    assert reply.body["service"] == "mocks-booking-api"
    assert datetime.fromisoformat(reply.body["timestamp"]).tzinfo is not None
    assert portal.sandbox.calls_count() == 0


@pytest.mark.django_db
def test_ready_names_each_part(api: Api) -> None:
    reply = api.get("/api/ready")

    assert reply.status == 200
    assert reply.body["checks"] == {"database": "ok", "cache": "ok", "hubspot": "ok"}


@pytest.mark.django_db
def test_without_hubspot_it_is_not_ready_and_says_so(api: Api, portal: Portal) -> None:
    portal.sandbox.fault("status", path="batch/read", status=401)

    reply = api.get("/api/ready")

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert reply.body["checks"] == {"database": "ok", "cache": "ok", "hubspot": "failed"}
    assert reply.body["error"] == "No answer from: hubspot."


@pytest.mark.django_db
def test_metrics_are_in_prometheus_own_format(api: Api) -> None:
    reply = api.get("/metrics")

    assert reply.headers["Content-Type"].startswith("text/plain")
    assert b"# TYPE mocks_request_seconds histogram" in reply.body


def test_the_schema_describes_every_address_once(api: Api) -> None:
    schema = api.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).body

    assert isinstance(schema, bytes)
    for path in ("bookings/list", "bookings/{booking_id}", "mock-exams/available", "health"):
        assert schema.count(f'"/api/{path}"'.encode()) == 1
    assert b'/":' not in schema


@pytest.mark.parametrize("media_type", ["application/vnd.oai.openapi+json", "application/yaml"])
def test_the_schema_is_made_once_whatever_is_asked_for(api: Api, media_type: str) -> None:
    accept = {"Accept": media_type}
    asked = api.get("/api/schema", version="9", lang="de", headers=accept)
    plain = api.get("/api/schema", headers=accept)

    assert asked.body == plain.body
    assert asked.headers["Content-Type"].startswith(media_type)


def test_the_docs_load_nothing_from_elsewhere(api: Api) -> None:
    page = api.get("/api/docs").body.decode()

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(loaded) >= 3
    for address in loaded:
        if address.startswith("/api/docs?"):  # the page's own script
            continue
        assert address.startswith("/static/")
        assert finders.find(address.removeprefix("/static/")) is not None
    assert re.findall(r"https?://(?!www\.w3\.org)", page) == []


@pytest.mark.django_db
def test_staff_can_log_in_to_the_administration(api: Api) -> None:
    reply = api.get("/admin/login/")

    assert reply.status == 200
    assert b"csrfmiddlewaretoken" in reply.body
    assert re.sub(r"\s+", " ", reply.body.decode()).count("Log in | Mock Exam Booking") == 1
