"""One of the API's servers: `manage.py serve`, killed, frozen, and started again in its place.

What its children's Python is told besides is in `children/sitecustomize.py`: a clock that is apart,
and a guard that is taken out.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.world.processes import OwnProcess
from tests.chaos.world.proxies import Proxy
from tests.manage import ROOT
from tests.server import Server, free_port

CHILDREN = Path(__file__).parents[1] / "children"
START_LIMIT_S, PAUSE_S = 90.0, 0.1
NOTICED_AFTER_S = 2.0
"""A balancer's health check finds a server that is gone or silent after so long."""


@dataclass(slots=True)
class ApiServer:
    """A place among the servers; `away_since_s` while nothing is there that answers."""

    number: int
    environment: Mapping[str, str]
    redis_proxy: Proxy | None
    folder: Path
    port: int = field(default_factory=free_port)
    clock_ahead_s: float = 0.0
    without: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    away_since_s: float | None = None
    away: list[tuple[float, float]] = field(default_factory=list)
    process: OwnProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"server-{self.number}.log"

    @property
    def is_noticed_away(self) -> bool:
        since_s = self.away_since_s
        return since_s is not None and time.monotonic() > since_s + NOTICED_AFTER_S

    def launch(self) -> None:
        """Start it; whoever needs it waits with `wait_until_ready`."""
        own = {
            "PYTHONPATH": str(CHILDREN),
            "CHAOS_CLOCK_AHEAD_S": str(self.clock_ahead_s),
            "CHAOS_WITHOUT": self.without,
        }
        if self.redis_proxy is not None:
            own["REDIS_URL"] = f"redis://127.0.0.1:{self.redis_proxy.port}/0"
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port)]
        environment = {**self.environment, **self.settings, **own}
        self.process = OwnProcess(command, ROOT, self.log, environment)
        self.process.start()

    def wait_until_ready(self) -> None:
        """Return once it answers; one that ended before, as where its database was away, is started
        again, as its supervisor would."""
        pause, until_s = threading.Event(), time.monotonic() + START_LIMIT_S
        while time.monotonic() < until_s:
            if self.process is None or not self.process.runs:
                self.launch()
            try:
                if Server(self.url).get("/api/health").status == 200:
                    self._be_back()
                    return
            except OSError:
                pause.wait(PAUSE_S)
        raise RuntimeError(f"server {self.number} does not start, see {self.log}")

    def kill(self) -> None:
        self._be_away()
        if self.process is not None:
            self.process.kill()

    def end(self) -> None:
        """Have it end in good order."""
        self._be_away()
        if self.process is not None:
            self.process.end()

    def freeze(self) -> None:
        self._be_away()
        if self.process is not None:
            self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            self.process.send(signal.SIGCONT)
        self._be_back()

    def was_away(self, begun_s: float, ended_s: float) -> bool:
        """Whether it was away for any part of this time."""
        now_s = time.monotonic()
        gone = self.away if self.away_since_s is None else [*self.away, (self.away_since_s, now_s)]
        return any(begun_s <= back_s and away_s <= ended_s for away_s, back_s in gone)

    def _be_away(self) -> None:
        if self.away_since_s is None:
            self.away_since_s = time.monotonic()

    def _be_back(self) -> None:
        if self.away_since_s is not None:
            self.away.append((self.away_since_s, time.monotonic()))
            self.away_since_s = None
