"""A server with staff, and a browser before it, for all browser tests of the console."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import browser_marks, running_chromium
from tests.console import TOKEN
from tests.journeys.console.visiting import PATIENCE_MS, Visitors
from tests.manage import manage
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle
from tests.server import Server, serving

HERE = f"{Path(__file__).parent}{os.sep}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # As text: each worker asks this of thousands of tests.
    for item in items:
        if str(item.path).startswith(HERE):
            for mark in browser_marks:
                item.add_marker(mark)


FILL = (
    "from tests import console; console.make_staff(); console.hire_ivy(); console.fill_console();"
    "console.print_sessions()"
)


@pytest.fixture(scope="package")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with the staff of `tests.console`, and its rows of every kind."""
    folder: Path = tmp_path_factory.mktemp("staffed")
    copy_migrated_file(folder / "db.sqlite3")
    return folder


@pytest.fixture(scope="package")
def sessions(staffed: Path) -> Mapping[str, str]:
    """A session of each of the staff, by name: a browser takes a second to log in."""
    database = f"sqlite:///{staffed / 'db.sqlite3'}"
    done = manage("shell", "-c", FILL, DEBUG="true", DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    made: Mapping[str, str] = json.loads(done.stdout.splitlines()[-1])
    return made


@pytest.fixture(scope="package")
def serving_staff(
    sandbox_process: SandboxHandle, staffed: Path, sessions: Mapping[str, str]
) -> Iterator[Server]:
    with serving(sandbox_process, staffed) as api:
        yield api


@pytest.fixture
def administered(sandbox: SandboxHandle, serving_staff: Server) -> Server:
    """An API whose cache is empty, before an empty portal."""
    sandbox.reset()  # now: the API has its address, and asks for it no more
    emptied = serving_staff.post(
        "/api/admin/cache/invalidate",
        {"all": True, "reason": "the next test"},
        Authorization=f"Token {TOKEN}",
    )
    assert emptied.status == 200, emptied.body
    return serving_staff


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="package")
def logged_in(browser: Browser, serving_staff: Server, sessions: Mapping[str, str]) -> Visitors:
    return Visitors(browser, serving_staff.base_url, sessions)


@pytest.fixture
def visitors(logged_in: Visitors) -> Iterator[Visitors]:
    """Who opens pages of the console. At the end of the test whatever a page was refused by its
    policy, or failed at, fails the test."""
    yield logged_in
    logged_in.leave()
