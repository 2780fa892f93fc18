"""Databases of a server's own, as its settings name them."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.manage import run_manage

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


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
    """Make a database; drop it at the end of the block. Returns its name."""
    name = f"{kind}_{uuid.uuid4().hex}"
    made = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if "template" in options:
        made += sql.SQL(" TEMPLATE {}").format(sql.Identifier(options["template"]))
    connection.execute(made)
    try:
        yield name
    finally:
        dropped = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(dropped.format(sql.Identifier(name)))


def url_of(database: str) -> str:
    return urlunsplit(urlsplit(DATABASE_URL)._replace(path=f"/{database}"))
