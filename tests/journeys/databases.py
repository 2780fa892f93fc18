"""Databases of a server's own, as its settings name them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import psycopg

from tests.server import ROOT


def manage(url: str, *command: str, **environment: str) -> str:
    """Run a management command on the database; return what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, **settings_of(url), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def settings_of(url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "booking_api.settings",
        "ENV_FILE": "",
        "DEBUG": "true",
        "DATABASE_URL": url,
        "LOG_LEVEL": "ERROR",
    }


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return what is in a server's database."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()
