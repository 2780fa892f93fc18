"""A run that is told to end: of what it started nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.manage import ROOT
from tests.migrated import copy_migrated_file
from tests.waiting import eventually


def children_of(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def has_socket(process: int) -> bool:
    with suppress(FileNotFoundError):  # one was closed meanwhile, or the process has gone
        opened = Path(f"/proc/{process}/fd").iterdir()
        return any("socket:" in str(each.readlink()) for each in opened)
    return False


@pytest.mark.chaos
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which processes there are")
def test_it_ends_what_it_started(tmp_path: Path) -> None:
    database_url = copy_migrated_file(tmp_path / "run.sqlite3")
    run = subprocess.Popen(
        [sys.executable, "manage.py", "benchmark", "hour in small"],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "true", "DATABASE_URL": database_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # A signal between a child's start and the next line of whoever started it would be lost on it.
    eventually(lambda: any(has_socket(child) for child in children_of(run.pid)))
    started = children_of(run.pid)

    run.terminate()
    run.wait(60)

    left = [process for process in started if Path(f"/proc/{process}").exists()]
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []
