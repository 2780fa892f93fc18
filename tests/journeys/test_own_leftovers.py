"""What the tests themselves start and make, and leave to nobody."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import uuid
from contextlib import ExitStack

import psycopg
import pytest

from tests.journeys.databases import made_database, url_of
from tests.manage import CAN_FORK, ROOT
from tests.migrated import drop_old_templates
from tests.waiting import eventually

START_AND_WAIT = """
import signal
from tests.sandbox import start_sandbox
print(start_sandbox().process.pid, flush=True)
signal.pause()
"""


@pytest.mark.skipif(not CAN_FORK, reason="nothing is forked here")
def test_what_a_killed_worker_had_started_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        sandbox = os.pidfd_open(int(worker.stdout.readline()))
        worker.kill()
    try:
        eventually(lambda: bool(select.select([sandbox], [], [], 0)[0]))
    finally:
        os.close(sandbox)


MAKE_AND_WAIT = """
import signal, psycopg
from tests.journeys.databases import DATABASE_URL, made_database
connection = psycopg.connect(DATABASE_URL, autocommit=True)
with made_database(connection, "test") as name:
    print(name, flush=True)
    signal.pause()
"""


@pytest.mark.postgres
def test_the_databases_of_a_killed_run_are_dropped_and_those_of_others_are_not(
    postgres: psycopg.Connection,
) -> None:
    def is_there_after_another(name: str) -> bool:
        with made_database(postgres, "test"):
            found = postgres.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            return found.fetchone() is not None

    with subprocess.Popen(
        [sys.executable, "-c", MAKE_AND_WAIT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        name = run.stdout.readline().strip()
        try:
            assert is_there_after_another(name)
        finally:
            run.kill()

    with psycopg.connect(url_of(name)):
        assert is_there_after_another(name), "what a killed run had started may be at it still"
    eventually(lambda: not is_there_after_another(name))


@pytest.mark.postgres
def test_of_old_templates_a_few_are_kept_and_those_in_use(postgres: psycopg.Connection) -> None:
    kind = f"old_{uuid.uuid4().hex[:12]}"  # a name has 63 letters at most
    with ExitStack() as stack:
        made = [stack.enter_context(made_database(postgres, kind)) for _ in range(3)]
        with psycopg.connect(url_of(made[0])):
            drop_old_templates(postgres, kind, keep=1)
        kept = postgres.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (kind,)
        ).fetchall()

    assert {name for (name,) in kept} == {made[0], made[2]}
