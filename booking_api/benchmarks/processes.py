"""The processes a benchmark measures: the sandbox, the API, the load generator; all on loopback.

Each is started by a context manager, which ends it whatever happens.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
TOKEN = "sandbox-token"  # noqa: S105 - what the sandbox accepts; it guards invented data
READY_PREFIX = "HubSpot sandbox on "
MAX_START_TRIES = 300
STOP_TIMEOUT_S = 40
ANSWER_TIMEOUT_S = 60


class DidNotStart(Exception):
    """A process that is needed does not answer."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process listens."""

    url: str

    def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return the status and the body of one request; raise OSError."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            parts.hostname or HOST, parts.port, timeout=ANSWER_TIMEOUT_S
        )
        raw = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, raw, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox and the part of its control interface that is needed here."""

    address: Address

    @property
    def url(self) -> str:
        return self.address.url

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Return the control interface's answer; raise RuntimeError where it refuses."""
        status, raw = self.address.send(method, f"/_sandbox/{path}", body)
        if status >= 400:
            raise RuntimeError(f"sandbox: {method} {path}: {status} {raw[:200]!r}")
        return json.loads(raw) if raw else None

    def clear_calls(self) -> None:
        self.control("DELETE", "calls")

    def calls_count(self) -> int:
        return len(self.control("GET", "calls?since=0")["calls"])


@contextmanager
def running_sandbox(*options: str) -> Iterator[Sandbox]:
    """Run an empty sandbox with these options; raise DidNotStart."""
    process = subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "hubspot_sandbox",
            "--port",
            "0",
            "--seed",
            "empty",
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line.startswith(READY_PREFIX):
            raise DidNotStart(f"The sandbox said {line!r}.")
        yield Sandbox(Address(line.removeprefix(READY_PREFIX).strip()))
    finally:
        end_process(process)


@contextmanager
def running_api(environment: Mapping[str, str]) -> Iterator[Address]:
    """Run the API as `manage.py serve` does, under this environment; raise DidNotStart."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = Address(f"http://{HOST}:{port}")
    try:
        wait_until_healthy(address, process)
        yield address
    finally:
        end_process(process)


def wait_until_healthy(address: Address, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(MAX_START_TRIES):
        if process.poll() is not None:
            break
        try:
            if address.send("GET", "/api/health")[0] == 200:
                return
        except OSError:
            pause.wait(0.1)
    raise DidNotStart(f"The API does not answer (exit code {process.poll()}).")


def find_redis() -> str:
    """Return the address of the Redis that is there to be measured, empty where none answers."""
    url = os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/9"
    with Redis.from_url(url, socket_connect_timeout=1) as client:
        try:
            return url if client.ping() else ""
        except (RedisError, OSError):
            return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def end_process(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
