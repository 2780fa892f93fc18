"""Databases of a server's own, as its settings name them."""

from __future__ import annotations

import os
import sqlite3
import uuid
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.manage import run_manage

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")

OF_A_RUN = "_of_a_run_"
"""Stands in the names of what is dropped once its maker is gone. Runs of older branches lock
nothing, and their databases have other names."""
MAKING_OF_A_RUN = 0x7E58
"""The locks of those makers."""


def manage(url: str, *command: str, **environment: str) -> str:
    """Run a management command on the database; return what it printed. Raises CalledProcessError
    where it failed."""
    done = run_manage(command, {**os.environ, **settings_of(url), **environment})
    done.check_returncode()
    return done.stdout


def settings_of(url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "booking_api.settings",
        "ENV_FILE": "",
        "DEBUG": "true",
        "DATABASE_URL": url,
        "LOG_LEVEL": "ERROR",
    }


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what is in a server's database."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


@contextmanager
def made_database(connection: psycopg.Connection, kind: str, **options: str) -> Iterator[str]:
    """Make a database; drop it at the end of the block, and those of runs that were killed before
    it. Returns its name."""
    name = f"{kind}{OF_A_RUN}{uuid.uuid4().hex}"
    drop_abandoned(connection)
    # Before the database is there, and for as long as its maker is.
    connection.execute("SELECT pg_advisory_lock(%s, %s)", (MAKING_OF_A_RUN, _lock_of(name)))
    made = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if "template" in options:
        made += sql.SQL(" TEMPLATE {}").format(sql.Identifier(options["template"]))
    connection.execute(made)
    try:
        yield name
    finally:
        dropped = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(dropped.format(sql.Identifier(name)))
        connection.execute("SELECT pg_advisory_unlock(%s, %s)", (MAKING_OF_A_RUN, _lock_of(name)))


def drop_abandoned(connection: psycopg.Connection) -> None:
    """Drop the databases whose makers are gone and that nobody is connected to."""
    found = connection.execute(
        "SELECT datname FROM pg_database WHERE datname ~ %s AND NOT EXISTS"
        " (SELECT FROM pg_stat_activity AS used WHERE used.datname = pg_database.datname)",
        (f"{OF_A_RUN}[0-9a-f]{{32}}$",),
    ).fetchall()
    # Read after the names: whoever makes a database has locked its name before. The locks of all
    # databases of a server are told, and a name is given once.
    locked = connection.execute(
        "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = %s",
        (MAKING_OF_A_RUN,),
    ).fetchall()
    for (name,) in found:
        if (_lock_of(name),) in locked:
            continue
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        except psycopg.errors.ObjectInUse:
            continue  # by somebody who has come meanwhile, or drops it too


def _lock_of(name: str) -> int:
    return zlib.crc32(name.encode()) >> 1  # PostgreSQL's are signed


def url_of(database: str) -> str:
    return urlunsplit(urlsplit(DATABASE_URL)._replace(path=f"/{database}"))
