"""Which errors of a database say that it is away, and which are about one row: real ones."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
from django.db import InterfaceError, OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.db.backends.utils import CursorWrapper

from booking_api.backing_services import database
from booking_api.settings import pool_size
from hubspot_sync.background.database_errors import is_database_away

pytestmark = pytest.mark.django_db  # Django's connections work in no other tests

URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")

Deed = Callable[[CursorWrapper], object]


def settings_of(url: str) -> dict[str, object]:
    """Django's settings of a database, complete: it adds these defaults itself where it starts."""
    defaults = {"ATOMIC_REQUESTS": False, "AUTOCOMMIT": True, "CONN_MAX_AGE": 0, "TIME_ZONE": None}
    config = {**defaults, "CONN_HEALTH_CHECKS": False, **database(url, pool_size)}
    config["OPTIONS"] = {key: value for key, value in config["OPTIONS"].items() if key != "pool"}
    return config


@pytest.fixture
def postgres() -> Iterator[PostgreSQL]:
    connection = PostgreSQL(settings_of(URL), "other")
    try:
        connection.connect()
    except OperationalError:
        if os.environ.get("POSTGRES_PROMISED"):
            raise
        pytest.skip("no PostgreSQL at TEST_DATABASE_URL")
    connection.inc_thread_sharing()
    yield connection
    connection.close()


def error_of(connection: PostgreSQL | SQLite, deed: Deed) -> Exception:
    with pytest.raises(Exception) as raised, connection.cursor() as cursor:  # noqa: PT011
        deed(cursor)
    return raised.value


def run(sql: str, *values: object) -> Deed:
    return lambda cursor: cursor.execute(sql, values)


def kill_yourself(cursor: CursorWrapper) -> None:
    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    cursor.execute("SELECT 1")


ROWS_OWN: dict[str, Deed] = {
    "a number too large": run("SELECT %s::integer", 4_165_550_123),
    "a text too long": run("CREATE TEMP TABLE t (v varchar(2)); INSERT INTO t VALUES ('abc')"),
    "NUL in a text": run("SELECT %s::text", "half\0"),
    "NUL in JSON": run("SELECT %s::jsonb", r'{"a": "\u0000"}'),
    "half an emoji": run("SELECT %s::text", "\ud83d"),
    "half an emoji in JSON": run("SELECT %s::jsonb", r'{"a": "\ud83d"}'),
    "a unique value": run("CREATE TEMP TABLE u (v int UNIQUE); INSERT INTO u VALUES (1), (1)"),
    "a check": run("CREATE TEMP TABLE c (v int CHECK (v < 3)); INSERT INTO c VALUES (7)"),
    "no such table": run("SELECT * FROM nowhere"),
    "a value of no type": run("SELECT %s", object()),
    "an index row too large": run(
        "CREATE TEMP TABLE i (v text UNIQUE); INSERT INTO i SELECT "
        "string_agg(md5(n::text), '') FROM generate_series(1, 9000) n"
    ),
}
AWAY: dict[str, Deed] = {
    "its backend was ended": kill_yourself,
    "idle for too long in a transaction": run(
        "SET idle_in_transaction_session_timeout = 1; BEGIN; SELECT 1;"
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '25P03'; END $$"
    ),
    "cancelled": run("SET statement_timeout = 1; SELECT pg_sleep(5)"),
    "too many clients": run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53300'; END $$"),
    "shutting down": run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P03'; END $$"),
    "a deadlock": run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$"),
}


@pytest.mark.postgres
@pytest.mark.parametrize("what", ROWS_OWN)
def test_what_postgresql_says_of_a_value_is_the_rows_own(postgres: PostgreSQL, what: str) -> None:
    assert not is_database_away(error_of(postgres, ROWS_OWN[what]))


@pytest.mark.postgres
@pytest.mark.parametrize("what", AWAY)
def test_what_postgresql_says_of_itself_is_not(postgres: PostgreSQL, what: str) -> None:
    assert is_database_away(error_of(postgres, AWAY[what]))


def test_nobody_at_the_address_is_away() -> None:
    connection = PostgreSQL(settings_of("postgres://nobody@127.0.0.1:1/nothing"), "other")

    assert is_database_away(error_of(connection, run("SELECT 1")))


@pytest.mark.parametrize(
    "error",
    [
        psycopg_pool.PoolTimeout(),
        psycopg_pool.PoolClosed(),
        psycopg.OperationalError("the connection is lost"),
    ],
)
def test_no_place_in_the_pool_is_away(error: Exception) -> None:
    told = OperationalError(str(error))
    told.__cause__ = error

    assert is_database_away(told)
    assert is_database_away(InterfaceError("connection already closed"))


def sqlite_in(folder: Path, name: str = "db.sqlite3") -> SQLite:
    config = settings_of(f"sqlite:///{folder / name}")
    config["OPTIONS"] = {"timeout": 0}
    return SQLite(config, "other")


def test_what_sqlite_says_of_a_value_is_the_rows_own(tmp_path: Path) -> None:
    connection = sqlite_in(tmp_path)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (v integer UNIQUE CHECK (v < 3))")

    for values in ([10**30], ["\ud83d"], [object()], [7], [None, None]):
        deed = run("INSERT INTO t VALUES (%s)", *values)
        assert not is_database_away(error_of(connection, deed)), values
    assert not is_database_away(error_of(connection, run("SELECT * FROM nowhere")))
    connection.close()


def test_a_locked_or_missing_file_is_away(tmp_path: Path) -> None:
    connection, other = sqlite_in(tmp_path), sqlite3.connect(tmp_path / "db.sqlite3")
    other.execute("BEGIN EXCLUSIVE")

    assert is_database_away(error_of(connection, run("CREATE TABLE t (v integer)")))
    other.close()
    connection.close()
    nowhere = sqlite_in(tmp_path / "no-such-folder")
    assert is_database_away(error_of(nowhere, run("SELECT 1")))
