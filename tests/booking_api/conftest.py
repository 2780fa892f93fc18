"""The API before an empty, kind sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Portal
from tests.sandbox import SandboxHandle


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty, in a sandbox without surprises."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return portal


@pytest.fixture
def api(settings: Settings, portal: Portal) -> Iterator[Api]:
    """The API, whose HubSpot is the sandbox with the default portal."""
    with connected(settings, portal.sandbox) as connected_api:
        yield connected_api
