"""The page at `/`: says how the deployment is, leads on, costs nothing, gives nothing away."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from booking_api.api.views.front_page import sum_up
from booking_api.ops.health import PartHealth, Readiness
from hubspot_sync.reading.availability import State
from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}
PRODUCTION = "https://api.hubapi.com"


def read_page(api: Api) -> str:
    reply = api.get("/")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    return str(reply.body.decode())


def state_of(page: str) -> str:
    found = re.search(r'<p class="c-state c-(\w+)" id="state">([^<]+)</p>', page)
    assert found is not None
    return f"{found[1]}: {found[2]}"


def test_it_says_that_all_is_ready(api: Api) -> None:
    assert state_of(read_page(api)) == "good: Ready: database, cache and HubSpot answer."
    reply = api.get("/", headers=JSON)
    assert reply.data["status"] == "ready"
    assert reply.data["checks"] == {"database": "ok", "cache": "ok", "hubspot": "ok"}
    assert reply.body["message"] == "Ready: database, cache and HubSpot answer."


def test_it_says_what_does_not_answer_and_is_there_all_the_same(api: Api, portal: Portal) -> None:
    portal.sandbox.fault("status", path="batch/read", status=401)

    assert state_of(read_page(api)) == "bad: Not ready: no answer from HubSpot."
    reply = api.get("/", headers=JSON)
    assert reply.data["status"] == "not ready"
    assert reply.data["checks"]["hubspot"] == "failed"


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (("ok", "ok", "unknown"), "Not known yet: nothing was heard from HubSpot."),
        (("ok", "failed", "unknown"), "Not ready: no answer from the cache."),
        (("failed", "failed", "ok"), "Not ready: no answer from the database and the cache."),
        (
            ("failed", "failed", "failed"),
            "Not ready: no answer from the database, the cache and HubSpot.",
        ),
    ],
)
def test_it_names_each_part_that_is_silent(states: tuple[str, ...], sentence: str) -> None:
    database, cache, hubspot = (
        PartHealth(state=State(state), checked_s_ago=None) for state in states
    )

    assert sum_up(Readiness(database=database, cache=cache, hubspot=hubspot)) == sentence


def test_it_leads_to_addresses_that_answer(api: Api) -> None:
    page = read_page(api)
    links = re.findall(r'<a href="([^"]+)"', page)
    loaded = re.findall(r'<(?:link|script)[^>]+(?:href|src)="/static/([^"]+)"', page)

    assert set(links) == set(api.get("/", headers=JSON).data["links"].values())
    for link in links:
        assert api.get(link).status in {200, 302}, link
    assert len(loaded) > 0
    assert [name for name in loaded if finders.find(name) is None] == []


def test_nothing_in_it_needs_more_than_the_strictest_policy(api: Api) -> None:
    page = read_page(api)

    assert re.findall(r"<style|style=|<script(?![^>]+src=)| on\w+=|https?://", page) == []


def test_it_asks_neither_hubspot_nor_for_a_session(api: Api, portal: Portal) -> None:
    api.get("/api/ready")
    portal.sandbox.clear_calls()
    cookie = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}

    with CaptureQueriesContext(
        connection,
    ) as queries:
        reply = api.get("/", headers=cookie)

    assert reply.status == 200
    assert portal.sandbox.calls_count() == 0
    assert [query["sql"] for query in queries if "session" in query["sql"]] == []
    assert "Cookie" not in reply.headers["Vary"]
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize("is_debugged", [True, False])
@pytest.mark.parametrize("is_sandboxed", [True, False])
def test_only_a_demo_says_that_it_is_one(
    api: Api, portal: Portal, settings: Settings, is_debugged: bool, is_sandboxed: bool
) -> None:
    api.get("/api/ready")
    url = portal.sandbox.base_url if is_sandboxed else PRODUCTION
    settings.DEBUG = is_debugged
    settings.HUBSPOT = replace(settings.HUBSPOT, base_url=url)
    page, data = read_page(api), api.get("/", headers=JSON).data

    is_demo = is_debugged and is_sandboxed
    assert data["is_demo"] is is_demo
    assert ('id="demo"' in page) is is_demo
    assert (url in page) is is_demo


def test_it_says_nothing_that_strangers_cannot_ask_for_elsewhere(
    api: Api, settings: Settings
) -> None:
    ready = api.get("/api/ready").body
    settings.DEBUG = False
    data = api.get("/", headers=JSON).data

    assert data.pop("version") in api.get("/api/schema").body.decode()
    assert data.pop("is_demo") is False
    assert all(link.startswith("/") for link in data.pop("links").values())
    assert data == {name: ready[name] for name in data}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("application/json;q=0.1, text/html", "text/html"),
        ("image/png", "text/html"),
        ("text/html;q=nan, text/html;q=x", "text/html"),
        (";;;,,,/", "text/html"),
        ("a/b," * 2_000, "text/html"),
    ],
)
def test_whoever_prefers_json_gets_it(api: Api, accept: str, kind: str) -> None:
    reply = api.get("/", headers={"Accept": accept})

    assert reply.status == 200
    assert reply.headers["Content-Type"].partition(";")[0] == kind
    assert "Accept" in reply.headers["Vary"]
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_it_is_there_to_be_read(path: str) -> None:
    """As a browser asks, whose writes want a token first."""
    client = Client(enforce_csrf_checks=True)

    assert client.head(path).status_code == 200
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
        reply = client.generic(method, path, headers={"Origin": "https://elsewhere.example"})
        assert (reply.status_code, reply.json()["code"]) == (405, "METHOD_NOT_ALLOWED"), method
        assert reply.headers["Allow"] == "GET, HEAD"
