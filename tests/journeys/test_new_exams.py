"""HubSpot tells of an exam that its own search will not know for half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Exam, Portal
from tests.desk import CREATE, create_body
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving
from tests.webhooks import BOOKING_SYNC, SECRET, Events, Raw, signed

AVAILABLE = "/api/mock-exams/available"
LAG_S = 30


@pytest.fixture(
    params=[
        ("default", "legacy"),
        pytest.param(("prepdoctors", "2026-09"), marks=pytest.mark.chaos),
        pytest.param(("default", "2026-03"), marks=pytest.mark.chaos),
    ]
)
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A portal, and the family of paths by which it is asked."""
    profile, api_version = request.param
    return profile, api_version


@pytest.fixture
def portal(names: tuple[str, str], sandbox: SandboxHandle) -> Portal:
    """A portal in a sandbox whose search lags."""
    portal = Portal(sandbox, load_profile(names[0]))
    sandbox.kind()
    sandbox.configure(search_lag_s=LAG_S)
    return portal


@pytest.fixture
def environment(portal: Portal, names: tuple[str, str]) -> dict[str, str]:
    return {
        "HUBSPOT_PORTAL": portal.profile.name,
        "HUBSPOT_API_VERSION": names[1],
        "HUBSPOT_WEBHOOK_SECRET": SECRET,
    }


@pytest.fixture
def api(sandbox: SandboxHandle, tmp_path: Path, environment: dict[str, str]) -> Iterator[Server]:
    with serving(sandbox, tmp_path, **environment) as server:
        yield server


def tell(api: Server, *events: Raw) -> Answer:
    body = orjson.dumps(list(events))
    return api.post(BOOKING_SYNC, body, **signed(body, f"{api.base_url}{BOOKING_SYNC}"))


def listed(api: Server, portal: Portal, **query: str) -> dict[str, int]:
    """The seats of each exam that can be seen."""
    answer = api.get(AVAILABLE, mock_type=portal.first_type.value, **query)
    assert answer.status == 200
    return {row["mock_exam_id"]: row["available_slots"] for row in answer.body["data"]}


def made_now(portal: Portal, exam: Exam) -> str:
    """Another exam like this one, made by a person just now; returns its id."""
    type_id = portal.profile.object_types.mock_exams
    properties = portal.sandbox.record(type_id, exam.id)["properties"]
    own = portal.profile.exam_properties.values()
    return portal.sandbox.create(type_id, {name: properties[name] for name in own})


@pytest.mark.chaos
@pytest.mark.timeout(90)
def test_a_new_exam_can_be_booked_as_soon_as_the_webhook_is_answered(
    api: Server,
    portal: Portal,
    sandbox: SandboxHandle,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    old, alice, events = portal.exam(capacity=7), portal.student("alice"), Events(portal.profile)
    assert listed(api, portal) == {old.id: 7}

    new_id = made_now(portal, old)
    assert listed(api, portal) == {old.id: 7}
    assert tell(api, events.exam("creation", new_id)).status == 200

    assert listed(api, portal) == {old.id: 7, new_id: 7}
    assert listed(api, portal, realtime="true") == {old.id: 7, new_id: 7}
    with serving(sandbox, tmp_path, **environment) as another:
        assert listed(another, portal) == {old.id: 7, new_id: 7}
    booked = api.post(CREATE, create_body(alice, replace(old, id=new_id)))
    assert booked.status == 201
    assert listed(api, portal) == {old.id: 7, new_id: 6}


@pytest.mark.chaos
@pytest.mark.redis
@pytest.mark.timeout(90)
@pytest.mark.parametrize("names", [("prepdoctors", "2026-09")], indirect=True)
def test_whichever_process_was_told_all_of_them_know(
    portal: Portal,
    sandbox: SandboxHandle,
    tmp_path: Path,
    environment: dict[str, str],
    redis_url: str,
    database_url: str,
) -> None:
    old, events = portal.exam(capacity=7), Events(portal.profile)
    shared = {**environment, "REDIS_URL": redis_url, "DATABASE_URL": database_url}
    with (
        serving(sandbox, tmp_path, **shared) as one,
        serving(sandbox, tmp_path, **shared) as other,
    ):
        assert listed(one, portal) == listed(other, portal) == {old.id: 7}
        new_id = made_now(portal, old)

        assert tell(one, events.exam("creation", new_id)).status == 200

        assert listed(other, portal) == listed(one, portal) == {old.id: 7, new_id: 7}
        portal.sandbox.archive(portal.profile.object_types.mock_exams, new_id)
        assert tell(other, events.exam("deletion", new_id)).status == 200
        assert listed(one, portal) == listed(other, portal) == {old.id: 7}
