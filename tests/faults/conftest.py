"""What breaks, before a kind sandbox that breaks only where it is told to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import Portal, shipped_profile
from tests.faults.children import Zygote, zygote
from tests.sandbox import SandboxHandle


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty; limits that no number of trials reaches."""
    portal = Portal(sandbox, shipped_profile("default"))
    sandbox.kind()
    sandbox.configure(rate_limit=100_000)
    return portal


@pytest.fixture(scope="session")
def forks(
    sandbox_process: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Zygote]:
    """The loaded application, to be forked and killed."""
    with zygote(sandbox_process, tmp_path_factory.mktemp("forks")) as running:
        yield running
