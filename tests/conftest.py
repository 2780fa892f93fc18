"""What every test may use: the sandbox process, kind or unkind, and the guard around sockets.

`sandbox` is unkind, as HubSpot is: small pages, late search, now and then a 429 or (on reads) a
5xx. `kind_sandbox` is the same process made kind, for tests that count calls. Both start empty.
Connections to anywhere but this machine are refused by pytest-socket (see pyproject).

No test depends on how fast the machine is: Hypothesis times nothing, and what is waited for is
waited for with patience.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker, Settings

from tests.builders import Portal
from tests.emptying import emptying_quickly
from tests.faults.groups import DeskUnderTest, running_desk
from tests.migrated import copy_migrated_file
from tests.sampling import leave_to_slow_tests
from tests.sandbox import SandboxHandle, start_sandbox
from tests.scheduling import begin_with_long, make_scheduler

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return make_scheduler(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    leave_to_slow_tests(items, config.getoption("randomly_seed", 0))
    yield
    begin_with_long(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do without the collector while all is made that stays: each worker makes all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Keep the collector from what is there for good: modules and thousands of tests, which it
    would look through again and again, and five times in a row at the end. What comes later it
    looks through as seldom as in a server."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The tests' database: a copy of one that is migrated, and emptied in less time. It is a file,
    because threads and child processes share it."""
    database: Path = tmp_path_factory.mktemp("database") / "tests.sqlite3"
    copy_migrated_file(database)
    with django_db_blocker.unblock():
        connections["default"].close()
    django_settings.DATABASES["default"]["NAME"] = str(database)
    connections["default"].settings_dict["NAME"] = str(database)
    with emptying_quickly(django_db_blocker):
        yield
    with django_db_blocker.unblock():
        connections.close_all()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxHandle]:
    """One sandbox for all tests of this worker; use `sandbox` or `kind_sandbox`."""
    handle = start_sandbox(unkind=True)
    yield handle
    if handle.process.poll() is None:
        handle.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxHandle) -> SandboxHandle:
    """The sandbox, empty and unkind."""
    sandbox_process.reset_before_use()
    return sandbox_process


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, settings: Settings, portal: Portal
) -> Iterator[DeskUnderTest]:
    """The API before the portal, and its desk; a test that needs another says so with a mark,
    `desk(config=DeskConfig(…), request_deadline_s=…)`, whose words are `running_desk`'s."""
    mark = request.node.get_closest_marker("desk")
    with running_desk(settings, portal.sandbox, **({} if mark is None else mark.kwargs)) as running:
        yield running


@pytest.fixture
def kind_sandbox(sandbox: SandboxHandle) -> SandboxHandle:
    """The sandbox, empty and kind."""
    sandbox.kind()
    return sandbox
