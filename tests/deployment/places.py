"""Places for API servers behind a proxy: each keeps its port while its process is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deployment.own_nginx import NAME
from tests.journeys.databases import settings_of
from tests.manage import ROOT
from tests.sandbox import SandboxHandle
from tests.server import STOP_TIMEOUT_S, Server, free_port, wait_until_it_answers


@dataclass(slots=True)
class Place:
    """`environment` is what its server is started with, `log` where its output goes."""

    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        return Server(base_url=f"http://127.0.0.1:{self.port}")

    def start(self) -> None:
        """Start it; return once it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port)],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until_it_answers(self.server, self.process)

    def stop(self) -> int:
        """Have it end in good order; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=STOP_TIMEOUT_S)
        self.process = None
        return code

    def kill(self) -> None:
        """End all of it without a word."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def environment_behind_nginx(
    sandbox: SandboxHandle, database_url: str, redis_url: str, **more: str
) -> dict[str, str]:
    """Return a server's environment as a deployment has it, without calls of its own."""
    return {
        **settings_of(database_url),
        "DEBUG": "false",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "LOG_LEVEL": "WARNING",
        "ALLOWED_HOSTS": NAME,
        "TRUSTED_PROXIES": "127.0.0.1",
        "REDIS_URL": redis_url,
        "HUBSPOT_BASE_URL": sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": sandbox.token,
        "SCHEDULER": "false",
        **more,
    }
