"""The command that compares the cache with HubSpot, and the self-test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cache_layer.config import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.builders import Portal
from tests.sandbox import SandboxHandle
from tests.server import Server, free_port, serving

SECRET = "a-scheduler's-own-secret"

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    made = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return made


def ran(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed; a CommandError's sentence for an exit of 2."""
    out = StringIO()
    try:
        call_command("validate_cache", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def left_behind(portal: Portal) -> list[Any]:
    types = portal.profile.object_types
    every = [
        record
        for object_type in (types.contacts, types.bookings, types.mock_exams)
        for record in portal.sandbox.records(object_type)
    ]
    return [record for record in every if not record["archived"]]


def test_the_self_test_passes_its_four_checks_and_leaves_nothing(
    settings: Settings, portal: Portal
) -> None:
    with connected(settings, portal.sandbox):
        code, printed = ran("--self-test", "--json")

    answer = json.loads(printed)
    assert code == 0, printed
    assert [check["name"] for check in answer["checks"]] == [
        "write-through",
        "webhook invalidation",
        "expiry",
        "miss fallback",
    ]
    assert left_behind(portal) == []
    assert portal.sandbox.calls_count("objects.batch_create") == 4


@pytest.mark.redis
def test_the_self_test_passes_over_redis_too(
    settings: Settings, portal: Portal, redis_url: str, redis_prefix: str
) -> None:
    cache = CacheConfig(redis_url=redis_url, key_prefix=redis_prefix, key_secrets=("a",))
    with connected(settings, portal.sandbox, cache=cache):
        code, printed = ran("--self-test")

    assert code == 0, printed
    assert printed.count("passed") == 4
    assert "(redis)" in printed


def test_the_self_test_removes_its_records_even_when_hubspot_fails_midway(
    settings: Settings, portal: Portal
) -> None:
    portal.sandbox.fault("status", path="batch/update", status=401)
    with connected(settings, portal.sandbox):
        code, said = ran("--self-test")

    assert code == 2
    assert "HubSpot could not be asked" in said
    assert portal.sandbox.calls_count("objects.batch_create") > 0
    assert left_behind(portal) == []


@pytest.mark.redis
def test_a_cache_in_redis_is_compared_by_the_command_itself(
    settings: Settings, portal: Portal, redis_url: str, redis_prefix: str
) -> None:
    cache = CacheConfig(redis_url=redis_url, key_prefix=redis_prefix, key_secrets=("a",))
    alice = portal.student("alice")
    with connected(settings, portal.sandbox, cache=cache) as api:
        api.get("/api/bookings/list", **alice.pair)
        portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, firstname="Alicia")

        looked = ran("--no-repair")
        repaired = ran("--all")
        again = ran("--json", "--sample", "5")

    assert looked[0] == repaired[0] == 1
    assert "firstname" in looked[1]
    assert alice.email not in looked[1]
    assert "Alicia" not in looked[1]
    assert "contact:#" in looked[1]
    assert again[0] == 0
    assert json.loads(again[1])["ok"] is True


@pytest.fixture
def server(settings: Settings, portal: Portal, tmp_path: Path) -> Iterator[Server]:
    """An API with a cache in its own memory, and a command that knows its secret."""
    settings.CRON_SECRET = SECRET
    with (
        connected(settings, portal.sandbox),
        serving(portal.sandbox, tmp_path, CRON_SECRET=SECRET) as api,
    ):
        yield api


def test_a_cache_in_a_servers_memory_is_compared_by_that_server(
    server: Server, portal: Portal
) -> None:
    alice = portal.student("alice")
    server.get("/api/bookings/list", **alice.pair)
    at = ("--url", server.base_url)

    fresh = ran(*at)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, credits_osce="1")
    looked = ran(*at, "--all", "--no-repair")
    repaired = ran(*at, "--json")
    again = ran(*at, "--all")

    assert (fresh[0], "none had drifted" in fresh[1]) == (0, True)
    assert (looked[0], "credits.credits_osce 5 → 1" in looked[1]) == (1, True)
    assert alice.email not in looked[1]
    report = json.loads(repaired[1])
    assert (repaired[0], report["repaired"] == report["drifted"] > 0) == (1, True)
    assert again[0] == 0


def test_what_a_server_cannot_compare_is_no_drift_and_is_said(
    settings: Settings, server: Server, portal: Portal
) -> None:
    """HubSpot out of reach, and a secret that is not the server's."""
    server.get("/api/bookings/list", **portal.student("alice").pair)
    portal.sandbox.fault("status", path=".*", status=401)
    code, printed = ran("--url", server.base_url)
    portal.sandbox.clear_faults()
    settings.CRON_SECRET = "another-secret-altogether"
    refused, said = ran("--url", server.base_url)

    assert (code, "HubSpot did not answer" in printed) == (2, True)
    assert (refused, "CRON_SECRET" in said) == (2, True)


def test_no_server_is_said_and_not_taken_for_drift(settings: Settings, portal: Portal) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with connected(settings, portal.sandbox):
        code, said = ran("--url", url)

    assert code == 2
    assert f"No server answers at {url}" in said
