"""`manage.py` as a user runs it: its own process, with the environment that a test gives.

Where it can be, it is forked from a process that has loaded the libraries (tests/manage_zygote.py):
loading them costs more than all that most commands do.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TextIO

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "HS_PRIVATE_APP_TOKEN": "pat-eu1-00000000",
    "CRON_SECRET": secrets.token_urlsafe(30),
    "HUBSPOT_WEBHOOK_SECRET": secrets.token_urlsafe(30),
    "HUBSPOT_WEBHOOK_SIGNATURES": "v3",
}
TIMEOUT_S: Final = 100
# Of a fork coverage.py would write nothing down.
CAN_FORK: Final = sys.platform == "linux" and "COVERAGE_PROCESS_CONFIG" not in os.environ


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these variables and no others of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return run_manage(arguments, kept | {"ENV_FILE": ""} | environment)


def run_manage(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, in this environment alone."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = start_manage(arguments, environment, out, err)
        try:
            code = process.wait(TIMEOUT_S)
        except BaseException:  # a test's own time-out, or Ctrl-C, too
            process.kill()
            raise
        for each in (out, err):
            each.seek(0)
        return subprocess.CompletedProcess(["manage.py", *arguments], code, out.read(), err.read())


class Forked:
    """A program that the zygote was forked for; of Popen, what tests ask for."""

    def __init__(self, status: IO[bytes], stdout: TextIO | None) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        self.pid = int(status.readline())

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("python", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode


Process = Forked | subprocess.Popen[str]


def start_manage(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdout: IO[Any] | int = subprocess.DEVNULL,
    stderr: IO[Any] | None = None,
    *,
    anew: bool = False,
) -> Process:
    """Start it in this environment alone; `anew` for a test that is about its very beginning, or
    about what two interpreters do not share."""
    return start_python(["manage.py", *arguments], environment, stdout, stderr, anew=anew)


def start_python(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdout: IO[Any] | int = subprocess.DEVNULL,
    stderr: IO[Any] | None = None,
    *,
    anew: bool = False,
) -> Process:
    """Start a program, which is a file or `-m` and a module, as `start_manage` does."""
    if anew or not CAN_FORK:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
    if stdout == subprocess.PIPE:
        reading, writing = os.pipe()
        with open(writing, "wb") as given:  # noqa: PTH123  # a descriptor
            return _fork(arguments, environment, given, stderr, os.fdopen(reading))
    if isinstance(stdout, int):
        with Path(os.devnull).open("wb") as given:
            return _fork(arguments, environment, given, stderr)
    return _fork(arguments, environment, stdout, stderr)


_lock = threading.Lock()
_zygotes: dict[int, socket.socket] = {}
"""By the process that gives it orders: one that was forked has its own."""


def _fork(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdout: IO[Any],
    stderr: IO[Any] | None,
    reading: TextIO | None = None,
) -> Forked:
    order = {"arguments": list(arguments), "environment": dict(environment)}
    status, told = os.pipe()
    try:
        descriptors = [stdout.fileno(), 2 if stderr is None else stderr.fileno(), told]
        with _lock:
            socket.send_fds(_zygote(), [json.dumps(order).encode()], descriptors)
    finally:
        os.close(told)
    return Forked(os.fdopen(status, "rb", buffering=0), reading)


def _zygote() -> socket.socket:
    if os.getpid() not in _zygotes:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Room for a whole environment.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        with its:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.manage_zygote", str(its.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1"},
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
            )
        _zygotes[os.getpid()] = ours
        atexit.register(_end, ours, process)
    return _zygotes[os.getpid()]


def _end(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.close()
    process.wait()
