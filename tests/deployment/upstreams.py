"""What nginx hands requests to, as it sees it: a server that keeps what came, and fails as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from tests.server import free_port


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came over the wire: its target untouched, the names of headers lower-case."""

    method: str
    target: str
    headers: dict[str, list[str]]
    body: bytes


@dataclass(slots=True)
class Upstream:
    """One server. While `hangs_up`, it reads requests and closes; `answers_with` is its status."""

    port: int = field(default_factory=free_port)
    received: list[Received] = field(default_factory=list)
    hangs_up: bool = False
    answers_with: int = 200
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                upstream.answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        headers: dict[str, list[str]] = {}
        for name, value in handler.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        received = Received(handler.command, handler.path, headers, handler.rfile.read(length))
        self.received.append(received)
        handler.close_connection = True
        if self.hangs_up:
            return
        said = json.dumps({"port": self.port}).encode()
        handler.send_response(self.answers_with)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(said)))
        handler.send_header("X-Request-ID", "of-the-upstream")
        handler.end_headers()
        handler.wfile.write(said)


@contextmanager
def running_upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    pair = (Upstream(), Upstream())
    for upstream in pair:
        upstream.start()
    try:
        yield pair
    finally:
        for upstream in pair:
            upstream.stop()
