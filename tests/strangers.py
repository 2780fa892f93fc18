"""Servers that are not ours: one that sends everybody on, one that keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class Stranger(ThreadingHTTPServer):
    """Answers each request alike, and keeps `seen`: method, target and headers of each."""

    def __init__(self, status: int, body: bytes, location: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body, self.location = status, body, location
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def _answer(self) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """What a test asks is no news."""


@contextmanager
def stranger(*, status: int = 200, body: bytes = b"{}", location: str = "") -> Iterator[Stranger]:
    with Stranger(status, body, location) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
