"""`deploy/backup.py`: a dump has its name once it is whole; what cannot be dumped leaves none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.deployment.promises import require
from tests.journeys.conftest import DATABASE_URL
from tests.manage import ROOT
from tests.server import free_port

pytestmark = pytest.mark.postgres
SPOILT_DUMP = """#!/bin/sh
for word; do
  case $word in --file=*) echo spoilt > "${word#*=}" ;; esac
done
"""
"""A `pg_dump` that ends well with a file that is none."""
OLDER = ("booking-20260101T000000Z.dump", "booking-20260102T000000Z.dump")


@pytest.fixture(autouse=True)
def programs(postgres: psycopg.Connection) -> None:
    for program in ("pg_dump", "pg_restore"):
        require(program, "POSTGRES_PROMISED")


def back_up(address: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    file = folder.parent / "address"
    file.write_text(address + "\n")
    return subprocess.run(
        [sys.executable, "deploy/backup.py", str(file), str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def give_dumper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str = "") -> None:
    """Let `pg_dump` be one that writes nonsense and then does what is given."""
    programs = tmp_path / "bin"
    programs.mkdir()
    dumper = programs / "pg_dump"
    dumper.write_text(SPOILT_DUMP + then)
    dumper.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dumps"
    made.mkdir()
    for name in (*OLDER, "another-file"):
        (made / name).touch()
    return made


def test_the_newest_are_kept_and_nobody_else_reads_them(folder: Path) -> None:
    done = back_up(DATABASE_URL, folder, "--keep", "2")

    assert done.returncode == 0, done.stderr
    (new,) = {path.name for path in folder.iterdir()} - {*OLDER, "another-file"}
    assert {path.name for path in folder.iterdir()} == {new, OLDER[1], "another-file"}
    assert (folder / new).stat().st_mode & 0o777 == 0o600
    assert str(folder / new) in done.stdout


def test_where_there_is_no_database_nothing_is_left_or_removed(folder: Path) -> None:
    address = f"postgres://somebody:top-secret@127.0.0.1:{free_port()}/bookings"

    done = back_up(address, folder, "--keep", "1")

    assert done.returncode == 1
    assert "No backup: pg_dump ended with 1." in done.stderr
    assert "top-secret" not in done.stdout + done.stderr
    assert {path.name for path in folder.iterdir()} == {*OLDER, "another-file"}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "address",
    [
        "",
        "psql://somebody:top-secret@127.0.0.1/bookings",
        "mysql://somebody:top-secret@127.0.0.1/bookings",
        "sqlite:////srv/top-secret.sqlite3",
        "postgres://somebody:top-secret@127.0.0.1",
        "postgres://somebody:top-secret@127.0.0.1/bookings?no_such_option=1",
        "postgres://somebody:top-secret@[::1/bookings",
    ],
)
def test_an_address_of_no_database_is_refused_and_not_quoted(folder: Path, address: str) -> None:
    """Without an address PostgreSQL's tools would take what is called like the user."""
    done = back_up(address, folder, "--keep", "1")

    assert done.returncode == 1
    assert "must hold an address as postgres://" in done.stderr
    assert "top-secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in folder.iterdir()} == {*OLDER, "another-file"}


def test_what_is_missing_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_folder = back_up(DATABASE_URL, folder / "none")
    monkeypatch.setenv("PATH", str(folder))
    without_tools = back_up(DATABASE_URL, folder)
    for done in (without_folder, without_tools):
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("No backup: ")
        assert "Traceback" not in done.stderr


def test_a_run_that_is_told_to_end_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by systemd, which tells all of a unit; what a killed one left the next run removes."""
    give_dumper(tmp_path, monkeypatch, 'kill -TERM "$PPID" $$')
    left = folder / "booking-20260101T000000Z.dump.part"
    left.touch()
    os.utime(left, (0, 0))

    ended = back_up(DATABASE_URL, folder)

    assert ended.returncode == 1
    assert "No backup: pg_dump ended with -15." in ended.stderr
    assert {path.name for path in folder.iterdir()} == {*OLDER, "another-file", left.name}

    monkeypatch.undo()
    assert back_up(DATABASE_URL, folder).returncode == 0
    assert not left.exists()


def test_a_dump_that_cannot_be_read_again_is_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is full, where a program ends well all the same."""
    give_dumper(tmp_path, monkeypatch)

    done = back_up(DATABASE_URL, folder)

    assert done.returncode == 1
    assert "No backup: pg_restore ended with 1." in done.stderr
    assert {path.name for path in folder.iterdir()} == {*OLDER, "another-file"}
