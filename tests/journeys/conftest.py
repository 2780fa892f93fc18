"""The API over sockets, before a sandbox: everything as a user has it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.cache_layer.own_redis import OwnRedis
from tests.journeys.databases import DATABASE_URL, made_database, url_of
from tests.migrated import find_or_make_template
from tests.sandbox import SandboxHandle
from tests.server import Server, serving


@pytest.fixture(scope="package")
def server(
    sandbox_process: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One API process for all journeys of this worker; it remembers nothing of HubSpot's. It ends
    with them: what it still had to do would be calls that the next test counts."""
    folder: Path = tmp_path_factory.mktemp("api")
    with serving(sandbox_process, folder, THROTTLE_FAILED_PAIRS="", CACHE_ENABLED="false") as api:
        yield api


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    """The default portal, empty, in a sandbox without surprises."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return portal


@pytest.fixture(scope="session")
def postgres() -> Iterator[psycopg.Connection]:
    """A PostgreSQL; skips without one unless the environment promised it."""
    try:
        connection = psycopg.connect(DATABASE_URL, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        if os.environ.get("POSTGRES_PROMISED"):
            raise
        pytest.skip("no PostgreSQL at TEST_DATABASE_URL")
    with closing(connection):
        yield connection


@pytest.fixture
def database_url(postgres: psycopg.Connection) -> Iterator[str]:
    """A database of this test's own, migrated, and dropped afterwards."""
    template = find_or_make_template(postgres, DATABASE_URL)
    with made_database(postgres, "test", template=template) as name:
        yield url_of(name)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own; skips without one unless the environment promised it."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("REDIS_PROMISED"):
            pytest.fail("REDIS_PROMISED is set, but there is no redis-server to start")
        pytest.skip("no redis-server to start")
    server = OwnRedis(binary, tmp_path)
    server.start()
    yield server.url
    server.kill()
