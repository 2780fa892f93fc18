"""The test's side of the zygote: child processes as objects."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tests.builders import Exam, Student
from tests.desk import CREATE, create_body
from tests.faults.stations import Stop
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle

ROOT = Path(__file__).resolve().parents[2]
ANSWER_TIMEOUT_S = 60
CRON_SECRET = "for-the-tests-alone"
PATIENT: Mapping[str, float] = {"lease_s": 60.0, "grace_s": 0.05, "late_write_s": 0.0}
"""A lease that no busy machine outlasts; let it expire. What was not answered comes never late."""
SHORT: Mapping[str, float] = {"lease_s": 1.0, "grace_s": 0.1, "late_write_s": 0.0}
"""A lease that is soon over, for those who wait for that."""


class Died(Exception):
    """The process ended before it answered."""


@dataclass(slots=True)
class Child:
    """One process of the application; commands are answered in their order."""

    connection: socket.socket
    lines: BinaryIO
    pid: int = 0
    paused: bool = False
    ended_well: bool = False
    """Whether it came to its end by itself; known once its block is left."""
    start_unheard: bool = False

    def start(self) -> None:
        """Begin as a server does: its background threads start."""
        self.ask(do="start")

    def start_and_pause(self) -> None:
        """Begin as a server does, and return once the process has reached the station it stops at:
        a thread may be there before the beginning is told of."""
        self._say(do="start")
        self.start_unheard = True
        self.wait_until_it_pauses()

    def send(
        self, method: str, path: str, body: Mapping[str, Any], key: str | None = None
    ) -> Mapping[str, Any]:
        """Return status and body; raises Died."""
        self.begin(method, path, body, key)
        return self.answer()

    def begin(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        key: str | None = None,
        **headers: str,
    ) -> None:
        headers |= {} if key is None else {"Idempotency-Key": key}
        self._say(do="send", method=method, path=path, body=body, headers=headers)

    def create(self, student: Student, exam: Exam, key: str) -> Mapping[str, Any]:
        return self.send("POST", CREATE, create_body(student, exam), key)

    def cancel(self, student: Student, record_id: str) -> Mapping[str, Any]:
        return self.send("DELETE", f"/api/bookings/{record_id}", student.pair)

    def wait_until_idle(self) -> None:
        """Return once nothing is left to do anywhere."""
        answer = self.ask(do="rest")
        assert answer["at_rest"], answer

    def end_turn(self) -> None:
        """Return once this process's desk has ended what it was at."""
        self.ask(do="end_turn")

    def stations(self) -> list[str]:
        passed: list[str] = self.ask(do="stations")["stations"]
        return passed

    def resume(self) -> None:
        self.paused = False
        os.kill(self.pid, signal.SIGCONT)

    def ask(self, **command: Any) -> Mapping[str, Any]:
        self._say(**command)
        return self.answer()

    def answer(self) -> Mapping[str, Any]:
        """Return the next answer; raises Died."""
        while True:
            said = self._hear()
            if said.get("event") != "reached" and not self._is_unheard_start(said):
                return said

    def wait_until_it_pauses(self) -> None:
        """Return once the process has reached the station it stops at; raises Died."""
        said = self._hear()
        while self._is_unheard_start(said):
            said = self._hear()
        assert said.get("event") == "reached", said
        self.paused = True

    def _is_unheard_start(self, said: Mapping[str, Any]) -> bool:
        return self.start_unheard and "started" in said

    def _say(self, **command: Any) -> None:
        try:
            self.connection.sendall(json.dumps(command).encode() + b"\n")
        except OSError as error:
            raise Died from error

    def _hear(self) -> Mapping[str, Any]:
        try:
            line = self.lines.readline()
        except ConnectionError as error:
            raise Died from error
        if not line:
            raise Died
        said: Mapping[str, Any] = json.loads(line)
        return said


@dataclass(slots=True)
class Zygote:
    """The loaded application, to be forked."""

    address: str
    folder: Path

    def database(self) -> str:
        """Return the file of a migrated database of its own."""
        own = self.folder / f"{uuid.uuid4().hex}.sqlite3"
        shutil.copyfile(self.folder / "template.sqlite3", own)
        return str(own)

    @contextmanager
    def child(
        self,
        database: str,
        stop: Stop | None = None,
        desk: Mapping[str, float] = PATIENT,
        **hubspot: Any,
    ) -> Iterator[Child]:
        """A process on this database, which stops itself where it is told to; `desk` and `hubspot`
        override its settings. It ends politely at
        the end of the block, unless it has been killed; one that stands still is killed."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.connect(self.address)
            with closing(connection.makefile("rb")) as lines:
                child = Child(connection, lines)
                order = {"database": database, "desk": desk, "hubspot": hubspot}
                child._say(**order, stop=None if stop is None else asdict(stop))
                child.pid = int(child._hear()["pid"])
                try:
                    yield child
                    connection.shutdown(socket.SHUT_WR)
                finally:
                    if child.paused:
                        os.kill(child.pid, signal.SIGKILL)
                child.ended_well = b"ended_well" in b"".join(lines)


def let_the_lease_expire(database: str) -> None:
    """As if its time were over: nobody knows what became of the holder, if there is one."""
    with closing(sqlite3.connect(database, timeout=ANSWER_TIMEOUT_S)) as connection, connection:
        connection.execute("UPDATE booking_api_lease SET expires_at = '2000-01-01 00:00:00'")


@contextmanager
def zygote(sandbox: SandboxHandle, folder: Path) -> Iterator[Zygote]:
    """Start a zygote whose children talk to this sandbox; its databases are in `folder`."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "booking_api.settings",
        "ENV_FILE": "",
        "DEBUG": "true",
        "LOG_LEVEL": "ERROR",
        "HUBSPOT_BASE_URL": sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": sandbox.token,
        "DATABASE_URL": copy_migrated_file(folder / "template.sqlite3"),
        "CRON_SECRET": CRON_SECRET,
        "THROTTLE_WRITES": "",
        "HUBSPOT_RATE_LIMIT": "10000",
    }
    address = str(folder / "zygote")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.zygote", address],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == b"ready\n", "the zygote did not start"
        yield Zygote(address, folder)
    process.wait(timeout=ANSWER_TIMEOUT_S)
