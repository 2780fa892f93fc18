"""A Prometheus of the run's own, with the rules of deploy/ in a time that passes faster."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.rules import rule_files
from tests.chaos.world.processes import OwnProcess
from tests.server import Server, free_port

FASTER = 12
"""So many times shorter is every duration of a rule: five minutes are twenty-five seconds."""
EVERY = "4s"
"""How often servers are read, and how long that may take: a busy machine is no dead server."""
JOB = "mock-exam-booking"
DURATION = re.compile(r"\b(\d+)(m|h)\b")
UNITS_S = {"m": 60, "h": 3600}
START_LIMIT_S, PAUSE_S = 60.0, 0.1


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fires: its labels, and what it says of itself."""

    labels: dict[str, str]
    annotations: dict[str, str]


def shorten(text: str) -> str:
    """Return a rule's text with shorter durations; thresholds are numbers and stay."""
    return DURATION.sub(lambda found: f"{int(found[1]) * UNITS_S[found[2]] // FASTER}s", text)


def shorten_rules(content: dict[str, Any]) -> dict[str, Any]:
    for rule in (rule for group in content["groups"] for rule in group["rules"]):
        rule["expr"] = shorten(rule["expr"])
        if "for" in rule:
            rule["for"] = shorten(rule["for"])
    return content


class OwnPrometheus:
    """One process that reads the servers at these ports every four seconds."""

    def __init__(self, binary: str, folder: Path, ports: Sequence[int]) -> None:
        folder.mkdir()
        self._servers = len(ports)
        for path in rule_files():
            rules = shorten_rules(yaml.safe_load(path.read_text(encoding="utf-8")))
            (folder / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
        config = {
            "global": {
                "scrape_interval": EVERY,
                "scrape_timeout": EVERY,
                "evaluation_interval": "1s",
            },
            "rule_files": [str(folder / path.name) for path in rule_files()],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        command = [
            *(binary, f"--config.file={folder / 'prometheus.yaml'}"),
            *(f"--storage.tsdb.path={folder / 'data'}", "--query.lookback-delta=25s"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
        ]
        self._process = OwnProcess(command, folder, folder / "log")

    def start(self) -> None:
        """Return once it has read every server: what is counted before that is no rise to it.
        Raises RuntimeError."""
        self._process.start()
        pause, until_s = threading.Event(), time.monotonic() + START_LIMIT_S
        while time.monotonic() < until_s:
            try:
                read = self.ask("query", query="up == 1")["result"]
            except OSError:
                read = []
            if len(read) == self._servers:
                return
            pause.wait(PAUSE_S)
        raise RuntimeError("Prometheus does not start, or cannot read the servers")

    def end(self) -> None:
        self._process.end()

    def ask(self, path: str, **query: str) -> Any:
        """Return what it answers; raises OSError, also while it is starting."""
        answer = Server(self.url).get(f"/api/v1/{path}", **query)
        if answer.status != HTTPStatus.OK:
            raise ConnectionError(f"{path}: {answer.status} {answer.body}")
        return answer.body["data"]

    def find_firing(self, name: str) -> list[Fired]:
        """Return the alerts of this name that fire now."""
        return [
            Fired(alert["labels"], alert["annotations"])
            for alert in self.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == name and alert["state"] == "firing"
        ]
