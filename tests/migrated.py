"""Databases that are ready, copied instead of migrated: that takes seconds for each.

The copies' original lies in the system's folder for temporary files, or in PostgreSQL beside them,
one for each state of the migrations, made by whoever needs it first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.manage import ROOT, manage

TEMPLATES = "mock_exams_migrated_"
MAX_TEMPLATES = 4
"""A few, since runs of several branches go on beside each other."""
MAKING_TEMPLATES = 0x7E57
"""The lock of whoever makes a template or drops one."""
PACKAGES = ("booking_api", "hubspot_sync", "cache_layer")


def copy_migrated_file(database: Path) -> str:
    """Put a migrated SQLite database at `database`; return its URL."""
    shutil.copyfile(find_or_make_original(), database)
    return f"sqlite:///{database}"


def find_or_make_original() -> Path:
    """Return the migrated file that others are copied from."""
    original = Path(tempfile.gettempdir()) / f"mock-exams-migrated-{hash_of_migrations()}.sqlite3"
    with Path(f"{original}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not original.exists():
            made = Path(f"{original}.{os.getpid()}")
            done = manage(
                "migrate", "--verbosity", "0", DEBUG="true", DATABASE_URL=f"sqlite:///{made}"
            )
            assert done.returncode == 0, done.stderr
            gather_into_one_file(made)
            made.rename(original)
    return original


def find_or_make_template(connection: psycopg.Connection, address: str) -> str:
    """Return the name of the migrated database in PostgreSQL that others are copied from; `address`
    is where the connection leads."""
    name = f"{TEMPLATES}{hash_of_migrations()}"
    connection.execute("SELECT pg_advisory_lock(%s)", (MAKING_TEMPLATES,))
    try:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return name
        made = sql.Identifier(f"{name}_in_the_making")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(made))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(made))
        url = urlunsplit(urlsplit(address)._replace(path=f"/{name}_in_the_making"))
        done = manage("migrate", "--verbosity", "0", DEBUG="true", DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        renamed = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(made, sql.Identifier(name))
        connection.execute(renamed)
        drop_old_templates(connection)
        return name
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (MAKING_TEMPLATES,))


def drop_old_templates(
    connection: psycopg.Connection, named: str = TEMPLATES, keep: int = MAX_TEMPLATES
) -> None:
    """Drop all but the newest, those that somebody was killed while making among them."""
    found = connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid DESC",
        (named,),
    ).fetchall()
    used = connection.execute("SELECT DISTINCT datname FROM pg_stat_activity").fetchall()
    for (name,) in found[keep:]:
        if (name,) not in used:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def hash_of_migrations() -> str:
    """Return what changes with any migration, ours or a library's."""
    said = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    said.update((ROOT / "booking_api" / "settings.py").read_bytes())
    for package in PACKAGES:
        for path in sorted((ROOT / package / "migrations").glob("*.py")):
            said.update(path.read_bytes())
    return said.hexdigest()[:16]


def gather_into_one_file(database: Path) -> None:
    """Leave nothing in the log beside the file, which a copy of the file alone would miss."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
