"""What hostile, slow and many clients do, against a server process of the file's own.

Each file is one kind of attack; docs/security.md names the file that shows what closes it. A file
whose server needs other settings gives them in a fixture `environment` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.attacks.staff import hired
from tests.builders import Portal
from tests.sandbox import SandboxHandle
from tests.server import Server, serving


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    """The settings of the file's server, besides those of `serving`."""
    return {}


@pytest.fixture(scope="package")
def accounts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Mapping[str, tuple[str, str]]]]:
    """A database with its staff, for the files that need it: its address, and each one's token and
    session."""
    with hired(tmp_path_factory.mktemp("staffed")) as made:
        yield made


@pytest.fixture(scope="module")
def portal(sandbox_process: SandboxHandle) -> Portal:
    """The default portal, in a kind sandbox, empty when the file begins."""
    sandbox_process.reset()
    sandbox_process.kind()
    return Portal(sandbox_process, load_profile("default"))


@pytest.fixture(scope="module")
def server(
    portal: Portal, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The API, for the tests of one file."""
    folder = tmp_path_factory.mktemp("attacked")
    with serving(portal.sandbox, folder, **environment) as attacked:
        yield attacked
