"""`manage.py warm_cache`: beside servers that share a cache, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from booking_api.ops.warming import rounds
from booking_api.pairs.models import SeenStudent
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.booking_api.ops.warming.support import WarmSchool
from tests.builders import Portal
from tests.cache_layer.conftest import redis_prefix, redis_url
from tests.sandbox import SandboxHandle

__all__ = ["redis_prefix", "redis_url"]

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING_TO_WARM, SOMETHING_LEFT = 2, 1


def run(*arguments: str) -> tuple[int, str]:
    said = StringIO()
    try:
        call_command("warm_cache", *arguments, stdout=said)
    except SystemExit as end:
        return int(str(end.code)), said.getvalue()
    return 0, said.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    _, said = run(*arguments, "--json")
    report: dict[str, Any] = orjson.loads(said)
    return report


@pytest.fixture
def school(
    settings: Settings, kind_sandbox: SandboxHandle, redis_url: str, redis_prefix: str
) -> Iterator[WarmSchool]:
    """A school whose processes share a cache."""
    portal = Portal(kind_sandbox, load_profile("default"))
    shared = CacheConfig(redis_url=redis_url, key_prefix=redis_prefix, key_secrets=("a secret",))
    with connected(settings, kind_sandbox, cache=shared) as api:
        school = WarmSchool(api, portal)
        school.fill(students=8)
        yield school


@pytest.mark.redis
def test_what_a_command_has_warmed_another_process_serves(school: WarmSchool) -> None:
    code, said = run()

    assert code == 0
    assert said.startswith("6 exams and 8 students are warm: ")
    assert school.calls_of_first_requests() == 0
    # Again: nothing is due.
    report = run_json()
    assert (report["students"], report["entries"], report["calls"]) == (8, 0, 0)


@pytest.mark.redis
def test_which_exams_and_students_can_be_said(school: WarmSchool, tmp_path: Path) -> None:
    named = tmp_path / "contacts.txt"
    named.write_text("\n".join(each.id for each in school.students[:3]))

    assert run_json("--exams", "--type", "osce")["exams"] == 2
    assert run_json("--exams")["students"] == 0
    assert run_json("--students", "5")["students"] == 5
    assert run_json("--students", "all-active")["students"] == 8
    SeenStudent.objects.all().delete()
    assert run_json()["students"] == 0
    assert run_json("--contacts", str(named))["students"] == 3


@pytest.mark.redis
def test_ending_early_is_told(school: WarmSchool) -> None:
    school.portal.sandbox.fault("status", path="batch/read", status=503)

    code, said = run()

    assert code == SOMETHING_LEFT
    assert "Ended early: " in said


@pytest.mark.redis
def test_whom_there_was_no_room_for_is_told(
    school: WarmSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ENTRIES_OF_A_STUDENT", CacheConfig().max_entries // 10)

    code, said = run()

    assert code == SOMETHING_LEFT
    assert "3 more students: no room for them" in said


@pytest.mark.redis
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--type", "latin"), "the portal has clinical, osce, written"),
        (("--contacts", "/nowhere"), "No such file"),
        (("--contacts", __file__), "is no HubSpot record id"),
        (("--students", "some"), "a number or all-active"),
    ],
)
def test_what_cannot_be_is_refused(
    school: WarmSchool, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)


@pytest.mark.redis
@pytest.mark.sampled(3)
@pytest.mark.parametrize("number", ["0", "1000000", "99999999999999999999", "9" * 400])
@pytest.mark.parametrize("option", ["--students", "--days"])
def test_any_number_is_taken(school: WarmSchool, option: str, number: str) -> None:
    expected = 0 if (option, number) == ("--students", "0") else 8

    assert run_json(option, number)["students"] == expected


@pytest.mark.sampled
@pytest.mark.parametrize("cache", [CacheConfig(), CacheConfig(enabled=False)])
def test_a_cache_out_of_reach_cannot_be_warmed(
    api: Api, settings: Settings, cache: CacheConfig
) -> None:
    settings.CACHE = cache

    with pytest.raises(CommandError) as refused:
        run()

    assert refused.value.returncode == NOTHING_TO_WARM
