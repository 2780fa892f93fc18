"""The API over sockets, before a sandbox: everything as a user has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.sandbox import SandboxHandle
from tests.server import Server, serving


@pytest.fixture(scope="session")
def server(
    sandbox_process: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One API process for all journeys of this worker; it remembers nothing of HubSpot's."""
    folder: Path = tmp_path_factory.mktemp("api")
    with serving(sandbox_process, folder, THROTTLE_FAILED_PAIRS="", CACHE_ENABLED="false") as api:
        yield api


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty, in a sandbox without surprises."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return portal
