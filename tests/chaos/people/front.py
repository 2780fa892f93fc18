"""How people reach the servers: at random, past those that are noticed to be away, and again.

Every request is a `Deed` in the diary, whatever came of it.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.chaos.world.servers import ApiServer

LOST = 0
"""Stands for the status of a request that nothing came of."""
CLIENT_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """One request: which, at which server, when (monotonic seconds), and what came of it."""

    what: str
    server: int
    begun_s: float
    ended_s: float
    status: int
    code: str = ""
    cost: str = ""
    away: bool = False

    @property
    def took_s(self) -> float:
        return self.ended_s - self.begun_s

    @property
    def is_served(self) -> bool:
        return self.status in (200, 201)


@dataclass(slots=True)
class Diary:
    """What all people did, and the stale reads they saw, a sentence each; safe between threads."""

    deeds: list[Deed] = field(default_factory=list)
    compared: int = 0
    stale: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, deed: Deed) -> None:
        with self.lock:
            self.deeds.append(deed)

    def note_comparison(self, wrong: Sequence[str]) -> None:
        with self.lock:
            self.compared += 1
            self.stale += wrong


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person sees of an answer; `data` is empty where it was refused or lost."""

    status: int
    code: str
    data: Any
    retry_after_s: float = 0.0

    @property
    def is_served(self) -> bool:
        return self.status in (200, 201)

    @property
    def is_unclear(self) -> bool:
        """Whether the same request is to be sent again to learn what became of it."""
        return self.status in (LOST, 429, 503, 500, 502, 504) or self.code == "REQUEST_IN_PROGRESS"


@dataclass(slots=True)
class Front:
    """All servers, for one run's people. `chance` is the run's seed's."""

    servers: Sequence[ApiServer]
    diary: Diary
    chance: random.Random
    host: str

    def send(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        at: ApiServer | None = None,
    ) -> Reply:
        """Send one request to `at`, or to any server that is not noticed to be away."""
        server = at if at is not None else self._choose()
        target = f"{path}?{urlencode(query)}" if query else path
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        begun_s = time.monotonic()
        try:
            status, seen, cost = self._exchange(server, method, target, raw, headers or {})
        except (OSError, http.client.HTTPException) as error:
            status, seen, cost = LOST, {"code": type(error).__name__}, ""
        ended_s = time.monotonic()
        code = str(seen.get("code", "")) if isinstance(seen, dict) else ""
        deed = Deed(
            what=what,
            server=server.number,
            begun_s=begun_s,
            ended_s=ended_s,
            status=status,
            code=code,
            cost=cost,
            away=server.was_away(begun_s, ended_s),
        )
        self.diary.note(deed)
        data = seen.get("data", seen) if isinstance(seen, dict) and deed.is_served else {}
        wait_s = float(seen.get("retryAfter", 0) or 0) if isinstance(seen, dict) else 0.0
        return Reply(status, code, data, wait_s)

    def _choose(self) -> ApiServer:
        here = [server for server in self.servers if not server.is_noticed_away]
        return self.chance.choice(here or list(self.servers))

    def _exchange(
        self,
        server: ApiServer,
        method: str,
        target: str,
        raw: str | bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[int, Any, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=CLIENT_TIMEOUT_S)
        try:
            sent = {"Content-Type": "application/json", "Host": self.host, **headers}
            connection.request(method, target, raw, sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        cost = response.headers.get("Server-Timing", "")
        return response.status, json.loads(content) if is_json and content else {}, cost
