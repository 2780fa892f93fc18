"""Processes of the world's own, each the head of a group: killed, stopped and ended together."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

STOP_TIMEOUT_S = 30
UNPRIVILEGED = ("postgres", "nobody")


@dataclass(slots=True)
class OwnProcess:
    """One program, run again and again with the same command; `user` where it may not be root."""

    command: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return 0 if self.process is None else self.process.pid

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = self._open(output)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of the group; none is an error that has ended already."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End it as a crash would, also while it stands still."""
        self.send(signal.SIGKILL)
        self._reap()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Have it end by itself; kill it where it does not."""
        self.send(signal.SIGCONT)
        self.send(how)
        self._reap()

    def _reap(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.process.wait()
        # Whoever was in its group and outlived it.
        self.send(signal.SIGKILL)
        self.process = None

    def _open(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        owner: dict[str, Any] = {} if self.user is None else drop_rights(self.user)
        return subprocess.Popen(
            self.command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **owner,
        )


def find_unprivileged_user() -> str | None:
    """Return whose rights a program gets that refuses to run as root; None where we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def drop_rights(user: str) -> dict[str, Any]:
    """Return Popen's options for a process of this user's."""
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}


def descendants(pid: int) -> list[int]:
    """Return the process and all below it, as /proc has them now."""
    found, waiting = [], [pid]
    while waiting:
        here = waiting.pop()
        found.append(here)
        for children in Path(f"/proc/{here}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                continue  # a thread that has ended since
    return found
