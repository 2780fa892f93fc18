"""The API as a user runs it: `manage.py serve`, its own process, over sockets."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

from tests.manage import Process, start_manage
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle

START_TRIES = 600
FIRST_PORT, PORTS = 12_000, 18_000
ANSWER_TIMEOUT_S = 40
STOP_TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire; the names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["code"])


@dataclass(frozen=True, slots=True)
class Server:
    """A running API, and the process that was started for it. Where `source` names an address of
    this machine, requests come from there."""

    base_url: str
    pid: int = 0
    source: str = ""

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, raw, **headers)

    def post_in_background(self, path: str, body: Any) -> http.client.HTTPConnection:
        """Send a request and wait for no answer; it ends with its connection."""
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        return connection

    def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(
            address.hostname or "",
            address.port,
            timeout=ANSWER_TIMEOUT_S,
            source_address=(self.source, 0) if self.source else None,
        )
        try:
            connection.request(
                method, target, body, {"Content-Type": "application/json", **headers}
            )
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=json.loads(content) if is_json else content,
        )


def free_port() -> int:
    """Return a port nobody listens on, from below those the system gives out by itself: there it
    would be somebody else's before whoever asked has bound it."""
    while True:
        # Not by `random`, which each test and each worker begins with the same seed.
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@contextmanager
def serving(
    sandbox: SandboxHandle,
    folder: Path,
    output: IO[bytes] | None = None,
    *,
    anew: bool = False,
    **environment: str,
) -> Iterator[Server]:
    """Serve the API against the sandbox, with a migrated database of its own in `folder`,
    unless the environment names another. All that it prints and logs goes to `output` where that is
    given; `anew` is for `start_manage`."""
    port = free_port()
    if not (folder / "db.sqlite3").exists():
        copy_migrated_file(folder / "db.sqlite3")
    own = {
        "HUBSPOT_BASE_URL": sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": sandbox.token,
        "SCHEDULER": "false",
        # Calls of its own would be counted by whoever shares its sandbox.
        "READY_PROBE_AFTER_S": "3600",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
    }
    process = start_manage(
        ["serve", "--port", str(port)],
        {**os.environ, "DJANGO_SETTINGS_MODULE": "booking_api.settings", **own, **environment},
        subprocess.DEVNULL if output is None else output,
        output,
        anew=anew,
    )
    server = Server(base_url=f"http://127.0.0.1:{port}", pid=process.pid)
    try:
        wait_until_it_answers(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=STOP_TIMEOUT_S)


def wait_until_it_answers(server: Server, process: Process | subprocess.Popen[bytes]) -> None:
    """Return when the server answers; raise RuntimeError where it ended or never did."""
    pause = threading.Event()
    for _ in range(START_TRIES):
        if process.poll() is not None:
            break
        try:
            if server.get("/api/health").status == 200:
                return
        except OSError:
            pause.wait(0.1)
    raise RuntimeError(f"the API does not answer (exit code {process.poll()})")
