"""Questions asked of the application both ways: of Django, and of what stands before it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from django.core.handlers.wsgi import WSGIHandler

from booking_api import composition
from booking_api.api.middleware.odd_requests import leave_out_charset
from booking_api.api.middleware.warm_way import WarmWay
from booking_api.api.throttling import window_of
from booking_api.ops.metrics import metrics
from booking_api.server.environ import base_environ, make_environ
from booking_api.server.requests import Request
from booking_api.server.responses import StartResponse
from cache_layer import Count

OWN_TO_EACH = {"X-Request-ID", "Server-Timing"}
Headers = list[tuple[str, str]]
COUNTED = (
    "mocks_request_seconds_count",
    "mocks_requests_near_deadline_total",
    "mocks_credit_checks_total",
    "mocks_forwarding_headers_total",
    "mocks_hubspot_route_calls_total",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it comes over the wire; `more` is what a server has added to its environ."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    peer: str = "127.0.0.1"
    scheme: str = "http"
    more: tuple[tuple[str, Any], ...] = ()

    def environ(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        named = {"host": "localhost", "content-type": "application/json"} | dict(self.headers)
        scope = {
            "method": self.method,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": ("127.0.0.1", "8000"),
            "client": (self.peer, "50000"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        }
        request = Request(
            scope=scope,
            send=lambda _: None,
            path=unquote_to_bytes(path).decode("latin-1"),
            address=self.peer,
            done=asyncio.Future(loop=LOOP),
            body=io.BytesIO(self.body),
            size=len(self.body),
        )
        return make_environ(request, base_environ(workers=1)) | dict(self.more)


LOOP = asyncio.new_event_loop()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def timing(self) -> str | None:
        return dict(self.headers).get("Server-Timing")

    @property
    def shown(self) -> tuple[int, Headers, Any]:
        """What two answers to one question have in common."""
        names = {name for name, _ in self.headers}
        own = OWN_TO_EACH | ({"Content-Length"} if "Content-Encoding" in names else set())
        headers = [(name, "" if name in own else value) for name, value in self.headers]
        is_error = self.status >= 400
        body = orjson.loads(self.body) if is_error and self.body else self.body
        if is_error and body:
            body.pop("request_id", None)
        # A compressed body is padded at random.
        return self.status, headers, b"" if "Content-Encoding" in names else body


@dataclass(slots=True)
class BothWays:
    """Django, and Django behind the warm way; `passed` counts what went on to it from there."""

    passed: int = 0
    django: Any = field(default_factory=lambda: leave_out_charset(WSGIHandler()))
    warm: Any = None

    def __post_init__(self) -> None:
        handler = WSGIHandler()

        def count(environ: Any, start: Any) -> Any:
            self.passed += 1
            return handler(environ, start)

        self.warm = leave_out_charset(WarmWay(count))

    def ask(self, asked: Asked) -> Answer:
        return send(self.warm, asked)

    def ask_django(self, asked: Asked) -> Answer:
        return send(self.django, asked)

    def is_passed_on(self, asked: Asked) -> bool:
        before = self.passed
        self.ask(asked)
        return self.passed > before


def send(application: Any, asked: Asked) -> Answer:
    start = StartResponse()
    body = application(asked.environ(), start)
    whole = b"".join(body)
    getattr(body, "close", lambda: None)()
    return Answer(start.status, list(start.headers), whole)


def counted() -> dict[str, float]:
    """Return what has been counted so far of requests, durations aside."""
    hits = composition.services().cached.cache.counters.snapshot()
    found = {str(count): float(hits.total(count)) for count in Count}
    # These alone: for some of the others our database is asked.
    for family in metrics().registry.restricted_registry(COUNTED).collect():
        found |= {f"{sample.name} {sample.labels}": sample.value for sample in family.samples}
    for caller in ("127.0.0.1", "127.0.0.1 S4711", "127.0.0.1 S1"):
        found[f"reads of {caller}"] = float(window_of("reads").count(caller))
    return found


def difference(ask: Callable[[Asked], Answer], asked: Asked) -> tuple[dict[str, float], Answer]:
    """Return what was counted of a question, and the answer."""
    before = counted()
    answer = ask(asked)
    after = counted()
    changed = {name: after[name] - before.get(name, 0.0) for name in after}
    return {name: number for name, number in changed.items() if number != 0}, answer


def make_warm(ways: BothWays, asked: Asked) -> None:
    """Ask until it is sent again: loaded, made of what is held, given again by Django."""
    for _ in range(3):
        ways.ask(asked)
