"""What tests of the database's own ways may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from tests.hubspot_sync.background.lines import URL


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is opened here is closed after the test; skips without a PostgreSQL, unless the
    environment promised it."""
    try:
        psycopg.connect(URL, connect_timeout=2).close()
    except psycopg.OperationalError:
        if os.environ.get("POSTGRES_PROMISED"):
            raise
        pytest.skip("no PostgreSQL at TEST_DATABASE_URL")
    with ExitStack() as stack:
        yield stack
