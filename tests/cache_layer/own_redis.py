"""A Redis of the test's own: started on a free port, killed without warning, started again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.server import free_port
from tests.waiting import eventually


class OwnRedis:
    """One server process with its own directory; its snapshot survives a kill."""

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self._binary, "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._directory), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self) -> bool:
        with Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

    def empty(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushdb()

    def save(self) -> None:
        """Write the snapshot that the next start begins with."""
        with Redis.from_url(self.url) as client:
            client.save()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def commands_run(self) -> int:
        """Return how many commands the server has run, those inside scripts too."""
        with Redis.from_url(self.url) as client:
            stats = client.info("commandstats")
        return sum(stat["calls"] for stat in stats.values())

    def members(self) -> dict[str, int]:
        """Return how much of each kind of key there is, by the last part of its name."""
        with Redis.from_url(self.url) as client:
            names = [key.decode() for key in client.scan_iter(count=1000)]
            found = {"payloads": sum(":payload:" in name for name in names)}
            for name in names:
                kind = name.rpartition("}:")[2]
                if kind == "meta":
                    found[kind] = int(client.hlen(name))
                elif kind in {"tags", "uses", "deadlines"}:
                    found[kind] = int(client.zcard(name))
        return found
