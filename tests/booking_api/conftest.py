"""The API before an empty, kind sandbox, with either portal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.api import Api, connected
from tests.builders import Portal, shipped_profile
from tests.desk import School
from tests.sampling import leave_one_portal
from tests.sandbox import SandboxHandle
from tests.webhooks import SECRET, Events


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make slow-tests` one of the portals of a test that goes by `school`; the default
    one, which all other tests have, where it goes by `larger_portal`."""
    for item in items:
        if item.get_closest_marker("larger_portal") is None:
            continue
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "default" in callspec.params.values():
            item.add_marker(pytest.mark.chaos)
    leave_one_portal(items, config.getoption("randomly_seed", 0))


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty, in a sandbox without surprises."""
    portal = Portal(sandbox, shipped_profile("default"))
    sandbox.kind()
    return portal


@pytest.fixture
def api(settings: Settings, portal: Portal) -> Iterator[Api]:
    """The API, whose HubSpot is the sandbox with the default portal."""
    with connected(settings, portal.sandbox) as connected_api:
        yield connected_api


@pytest.fixture
def prepdoctors(sandbox: SandboxHandle) -> Portal:
    """The other shipped portal, empty, in a sandbox without surprises."""
    portal = Portal(sandbox, shipped_profile("prepdoctors"))
    sandbox.kind()
    return portal


@pytest.fixture
def their_api(settings: Settings, prepdoctors: Portal) -> Iterator[Api]:
    """The API, whose HubSpot is the sandbox with the other portal."""
    with connected(settings, prepdoctors.sandbox, portal="prepdoctors") as connected_api:
        yield connected_api


@pytest.fixture
def webhook_secret(settings: Settings) -> None:
    """HubSpot and the API know the same secret."""
    settings.HUBSPOT_WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def events(portal: Portal) -> Events:
    """Events of the default portal."""
    return Events(portal.profile)


@pytest.fixture(params=["default", "prepdoctors"])
def school(
    request: pytest.FixtureRequest, settings: Settings, sandbox: SandboxHandle
) -> Iterator[School]:
    """The API with each of the shipped portals in turn."""
    portal = Portal(sandbox, shipped_profile(request.param))
    sandbox.kind()
    with connected(settings, sandbox, portal=portal.profile.name) as connected_api:
        yield School(connected_api, portal)
