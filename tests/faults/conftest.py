"""What breaks, before a kind sandbox that breaks only where it is told to."""

from __future__ import annotations

import pytest

from tests.builders import Portal, shipped_profile
from tests.sandbox import SandboxHandle


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty; limits that no number of trials reaches."""
    portal = Portal(sandbox, shipped_profile("default"))
    sandbox.kind()
    sandbox.configure(rate_limit=100_000)
    return portal
