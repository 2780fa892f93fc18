"""The sandbox as tests hold it: its process, and its control interface as methods.

A test talks to HubSpot's paths itself, through whatever client it tests; this is the side door.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.manage import Process, start_manage

TOKEN = "sandbox-token"
READY = re.compile(r"HubSpot sandbox on (http://\S+)")
ANSWER_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40


class ControlError(Exception):
    """The control interface said no."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a plain call: status, headers by lower-case name, JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class SandboxHandle:
    """A running sandbox process."""

    address: str
    process: Process
    token: str = TOKEN
    starts_unkind: bool = False
    is_unkind: bool = field(init=False)
    _idle: list[http.client.HTTPConnection] = field(default_factory=list, repr=False)
    _pid: int = field(default_factory=os.getpid, repr=False)
    _owes_reset: bool = field(default=False, repr=False)
    _paying: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.is_unkind = self.starts_unkind

    @property
    def base_url(self) -> str:
        """Where it is called; whoever asks is about to call it."""
        self._pay_reset()
        return self.address

    # Its paths, plainly

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = TOKEN
    ) -> Answer:
        """One call to any path; raises OSError or HTTPException for a cut connection."""
        self._pay_reset()
        connection = self._connect()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            return _exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def _control(self, method: str, path: str, body: object = None) -> Any:
        self._pay_reset()
        return self._control_now(method, path, body)

    def _control_now(self, method: str, path: str, body: object = None) -> Any:
        # On a connection that is kept: each test asks several times, and each new connection is a
        # thread of the sandbox's.
        connection = self._take_idle() or self._connect()
        try:
            answer = _exchange(connection, method, f"/_sandbox/{path}", body, {})
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if answer.status >= 400:
            raise ControlError(f"{method} {path}: {answer.status} {answer.body}")
        return answer.body

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.address)
        return http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=ANSWER_TIMEOUT_S
        )

    def _take_idle(self) -> http.client.HTTPConnection | None:
        if self._pid != os.getpid():  # a forked process: they are its parent's
            self._hang_up()
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _hang_up(self) -> None:
        while self._idle:
            self._idle.pop().close()

    # The log

    def calls(
        self, operation: str | None = None, *, since: int = 0, status: int | None = None
    ) -> list[dict[str, Any]]:
        """The calls of the log, of one operation or status only where asked."""
        found = self._control("GET", f"calls?since={since}")["calls"]
        return [
            each
            for each in found
            if operation in (None, each["operation"]) and status in (None, each["status"])
        ]

    def calls_count(self, operation: str | None = None, *, status: int | None = None) -> int:
        return len(self.calls(operation, status=status))

    def clear_calls(self) -> None:
        self._control("DELETE", "calls")

    # The whole

    def reset(
        self, seed: str | None = None, portal: str | None = None, bookings: int | None = None
    ) -> dict[str, Any]:
        """Back to the start; what is not given is as the process was started."""
        given = {"seed": seed, "portal": portal, "bookings": bookings}
        body = {name: value for name, value in given.items() if value is not None}
        reply: dict[str, Any] = self._control_now("POST", "reset", body)
        self._owes_reset = False
        self.is_unkind = self.starts_unkind
        return reply

    def reset_before_use(self) -> None:
        """As `reset`, but not before somebody uses it: a portal is about to be made in it, mostly,
        which resets it anyway."""
        self._owes_reset = True
        self.is_unkind = self.starts_unkind

    def _pay_reset(self) -> None:
        if not self._owes_reset:
            return
        with self._paying:
            if self._owes_reset:
                self.reset()

    def snapshot(self) -> str:
        return str(self._control("POST", "snapshots")["id"])

    def restore_snapshot(self, snapshot_id: str) -> None:
        self._control("POST", f"snapshots/{snapshot_id}/restore")

    def configure(self, **switches: Any) -> dict[str, Any]:
        """Set switches; returns all of them."""
        config: dict[str, Any] = self._control("PATCH", "config", switches)
        self.is_unkind = config["unkind"]
        return config

    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._control("GET", "config")
        return config

    def kind(self) -> None:
        """Whole pages, prompt search, no refusals out of the blue: for tests that count calls."""
        if self.is_unkind:
            self.configure(unkind=False)

    def advance(self, seconds: float) -> float:
        """Move the sandbox's clock; returns its time, in seconds since 1970."""
        return float(self._control("POST", "clock", {"advance_s": seconds})["now"])

    # Faults

    def fault(self, action: str, **order: Any) -> str:
        """Order a fault; returns its id."""
        return str(self._control("POST", "faults", {"action": action, **order})["id"])

    def clear_faults(self, fault_id: str | None = None) -> None:
        self._control("DELETE", "faults" if fault_id is None else f"faults/{fault_id}")

    def faults(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._control("GET", "faults")["faults"]
        return found

    # Records, as a person in HubSpot

    def create(
        self,
        object_type: str,
        properties: Mapping[str, str | None],
        associations: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Make a record linked to (type, id) pairs; returns its id."""
        links = [{"to_type": to_type, "to_id": to_id} for to_type, to_id in associations]
        body = {"properties": dict(properties), "associations": links}
        return str(self._control("POST", f"records/{object_type}", body)["id"])

    def edit(self, object_type: str, record_id: str, **properties: str | None) -> None:
        self._control("PATCH", f"records/{object_type}/{record_id}", {"properties": properties})

    def drop_property(self, object_type: str, name: str) -> None:
        """Take a property away, as if nobody had made it."""
        self._control("DELETE", f"properties/{object_type}/{name}")

    def write_as(
        self, source: tuple[str, str], object_type: str, record_id: str, **values: str
    ) -> None:
        """Edit a record as another app, or whoever the source names: `sourceType`, `sourceId`."""
        body = {"properties": values, "source": {"name": source[0], "id": source[1]}}
        self._control("PATCH", f"records/{object_type}/{record_id}", body)

    def poison(self, object_type: str, record_id: str, **properties: str | None) -> None:
        """Put values into a record to the letter, as imports and people do; none is refused."""
        body = {"properties": properties, "as_is": True}
        self._control("PATCH", f"records/{object_type}/{record_id}", body)

    def archive(self, object_type: str, record_id: str) -> None:
        self._control("DELETE", f"records/{object_type}/{record_id}")

    def restore(self, object_type: str, record_id: str) -> None:
        self._control("POST", f"records/{object_type}/{record_id}/restore")

    def merge(self, object_type: str, survivor_id: str, other_id: str) -> None:
        """Make one record of two, which keeps the first one's id."""
        self._control("POST", f"records/{object_type}/{survivor_id}/merge", {"merged": other_id})

    def record(self, object_type: str, record_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._control("GET", f"records/{object_type}/{record_id}")
        return found

    def records(self, object_type: str) -> list[dict[str, Any]]:
        """All records of a type, archived ones too, oldest first."""
        found: list[dict[str, Any]] = self._control("GET", f"records/{object_type}")["results"]
        return found

    def bulk(
        self,
        records: Iterable[Mapping[str, Any]] = (),
        associations: Iterable[Sequence[str]] = (),
    ) -> list[str]:
        """Load many at once, an hour old, untold: {type, id?, properties}; (type, id, type, id)."""
        body = {"records": list(records), "associations": [list(each) for each in associations]}
        ids: list[str] = self._control("POST", "bulk", body)["ids"]
        return ids

    def associate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        self._control("PUT", "associations", _ends(from_type, from_id, to_type, to_id))

    def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        self._control("DELETE", "associations", _ends(from_type, from_id, to_type, to_id))

    def webhooks(self) -> dict[str, int]:
        """How many events are pending, delivered, failed, …"""
        counts: dict[str, int] = self._control("GET", "webhooks")
        return counts

    def forget(self, object_type: str, record_id: str) -> None:
        """Remove a record for good, as its person asked."""
        self._control("POST", f"records/{object_type}/{record_id}/forget")

    # The change journal

    def journal(self) -> dict[str, Any]:
        """How many entries there are and events are on their way, tokens given out, the
        subscriptions, the calls for files."""
        found: dict[str, Any] = self._control("GET", "journal")
        return found

    def publish(self, *events: object) -> str:
        """Publish a file with these events as they are; returns its offset."""
        return str(self._control("POST", "journal/entries", {"events": list(events)})["offset"])

    def revoke_journal_tokens(self) -> None:
        self._control("DELETE", "journal/tokens")

    # The process

    def kill(self) -> None:
        """End it as a crash would, without a word."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """End it politely; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        self._hang_up()
        code = self.process.wait(timeout=STOP_TIMEOUT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start_sandbox(*, port: int = 0, unkind: bool = False, **options: object) -> SandboxHandle:
    """Start a sandbox and wait until it says it is ready; options are those of the command.

    Raises RuntimeError with what it said where it does not start.
    """
    arguments = ["--port", str(port), *(["--unkind"] if unkind else [])]
    for name, value in {"seed": "empty", **options}.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    process = start_manage(
        ["hubspot_sandbox", *arguments],
        {**os.environ, "PYTHONUNBUFFERED": "1"},
        subprocess.PIPE,
    )
    line = process.stdout.readline() if process.stdout is not None else ""
    ready = READY.match(line)
    if ready is None:
        process.kill()
        process.wait()
        raise RuntimeError(f"the sandbox did not start: {line!r}")
    return SandboxHandle(address=ready[1], process=process, starts_unkind=unkind)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object,
    headers: Mapping[str, str],
) -> Answer:
    raw = None if body is None else json.dumps(body)
    kind = {} if raw is None else {"Content-Type": "application/json"}
    connection.request(method, path, raw, {**headers, **kind})
    response = connection.getresponse()
    content = response.read()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, json.loads(content) if content else None)


def _ends(from_type: str, from_id: str, to_type: str, to_id: str) -> dict[str, str]:
    return {"from_type": from_type, "from_id": from_id, "to_type": to_type, "to_id": to_id}
