"""A Redis of the run's own: killed, emptied, filled up, and started again from an old dump."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.world.processes import OwnProcess
from tests.server import free_port

START_TRIES, PAUSE_S = 200, 0.025


class OwnRedisServer:
    """One server process; what it keeps outlives it only by a dump."""

    def __init__(self, binary: str, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self._folder = folder
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        self._process = OwnProcess(command, folder, folder / "log")

    def start(self) -> None:
        """Return once it answers; with what was put in its dump's place, or empty."""
        self._process.start()
        pause = threading.Event()
        for _ in range(START_TRIES):
            if self.answers():
                return
            pause.wait(PAUSE_S)
        raise RuntimeError("Redis does not start")

    def answers(self) -> bool:
        try:
            with self._connect() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    def kill(self) -> None:
        self._process.kill()
        self._dump.unlink(missing_ok=True)

    def empty(self) -> None:
        with self._connect() as client:
            client.flushall()

    def keep_dump(self) -> None:
        """Keep what it holds now, for `put_old_dump_back`."""
        with self._connect() as client:
            client.save()
        shutil.copy(self._dump, self._old)

    def put_old_dump_back(self) -> None:
        """Have the next start begin with what was kept."""
        if self._old.exists():
            shutil.copy(self._old, self._dump)

    def bound_memory(self, limit: str) -> None:
        """Take nothing more in where the limit is lower than what is kept; `0` is no limit."""
        with self._connect() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", limit)

    def remove(self) -> None:
        if self._process.runs:
            self._process.kill()

    @property
    def _dump(self) -> Path:
        return self._folder / "dump.rdb"

    @property
    def _old(self) -> Path:
        return self._folder / "old.rdb"

    def _connect(self) -> Redis:
        return Redis(host="127.0.0.1", port=self.port, socket_timeout=2)
