"""HubSpot for the tests of its facts: a kind, empty portal over each family of paths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hubspot_sync.sandbox.hub import FAMILIES, Hub, connected
from tests.sandbox import SandboxHandle


@pytest.fixture(params=FAMILIES)
def hub(request: pytest.FixtureRequest, kind_sandbox: SandboxHandle) -> Iterator[Hub]:
    """The portal as reached by the legacy paths, then by the newest."""
    with connected(kind_sandbox, request.param) as reached:
        yield reached
