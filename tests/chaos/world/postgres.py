"""A PostgreSQL of the run's own: as an unprivileged user, on loopback, in a folder that goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.chaos.world.processes import (
    OwnProcess,
    descendants,
    drop_rights,
    find_unprivileged_user,
)
from tests.server import free_port

MAX_CONNECTIONS = 60
START_TRIES, PAUSE_S = 300, 0.05
OPTIONS = (
    *("listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "shared_buffers=32MB"),
    *(f"max_connections={MAX_CONNECTIONS}", "superuser_reserved_connections=3"),
)


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, None where there is none."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


class OwnPostgres:
    """One cluster, one database."""

    def __init__(self, binaries: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-pg-"))
        self._port = free_port()
        user = find_unprivileged_user()
        if user is not None:
            shutil.chown(self._folder, user, user)
        owner = {} if user is None else drop_rights(user)
        data = self._folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-A", "trust", "-U", "chaos", "-N", "--locale=C"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **owner,
        )
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(self._port)]
        for option in (*OPTIONS, f"unix_socket_directories={self._folder}"):
            command += ["-c", option]
        log = self._folder / "log"
        self._process = OwnProcess(command, self._folder, log, user=user)
        self._hogs: list[psycopg.Connection] = []

    @property
    def url(self) -> str:
        return f"postgres://chaos@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Return once it answers."""
        self._process.start()
        pause = threading.Event()
        for _ in range(START_TRIES):
            if self.answers():
                return
            pause.wait(PAUSE_S)
        raise RuntimeError("PostgreSQL does not start")

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, connect_timeout=2) as connection:
            return connection.execute(sql.encode()).fetchall()

    def stop_fast(self) -> None:
        """End it as an administrator would: open transactions are rolled back."""
        self._process.end(signal.SIGINT)

    def crash(self) -> None:
        """Kill every process of it."""
        for pid in descendants(self._process.pid):
            _signal(pid, signal.SIGKILL)
        self._process.kill()

    def fall_silent(self) -> None:
        """Have it accept and answer nothing, as a host that has lost its disk."""
        for pid in descendants(self._process.pid):
            _signal(pid, signal.SIGSTOP)

    def speak(self) -> None:
        for pid in descendants(self._process.pid):
            _signal(pid, signal.SIGCONT)

    @contextmanager
    def locking(self, table: str) -> Iterator[None]:
        """Let nobody write into a table while inside."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"LOCK TABLE {table} IN SHARE MODE".encode())
            yield
            connection.rollback()

    def has_waiter(self) -> bool:
        """Return whether somebody waits for a lock."""
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return len(self.ask(waiting)) > 0

    def take_all_connections(self) -> None:
        """Send everybody away, and take every place before they are back."""
        self._hogs.append(psycopg.connect(self.url, autocommit=True))
        self._hogs[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        while len(self._hogs) < MAX_CONNECTIONS:
            try:
                self._hogs.append(psycopg.connect(self.url))
            except psycopg.OperationalError:
                return

    def give_connections_back(self) -> None:
        while self._hogs:
            self._hogs.pop().close()

    def remove(self) -> None:
        """End it and all that it kept."""
        if self._process.runs:
            self.speak()
            self.give_connections_back()
            self._process.end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
