"""Connections of Django's to the PostgreSQL for tests, beside the tests' own database."""

from __future__ import annotations

import os
from contextlib import ExitStack

from django.db.utils import ConnectionHandler

from booking_api.backing_services import database
from booking_api.settings import pool_size
from hubspot_sync.background.postgres.base import DatabaseWrapper

URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


def open_connection(url: str, stack: ExitStack, *, limits_session: bool = True) -> DatabaseWrapper:
    settings = database(url, pool_size, limits_session=limits_session)
    connection = ConnectionHandler({"default": settings})["default"]
    assert isinstance(connection, DatabaseWrapper)
    connection._connection_pools = {}
    stack.callback(connection.close_pool)
    stack.callback(connection.close)
    return connection
