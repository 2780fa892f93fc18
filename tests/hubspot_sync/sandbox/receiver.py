"""A webhook receiver over a real socket: records requests, answers as told, can be waited for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: Message
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body))


class Receiver:
    """What came, in order of arrival; `statuses` are given out one a request, then 200."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Received] = []
        self.statuses: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.most_at_once = 0
        self._at_once = 0
        self._changed = threading.Condition()

    @property
    def events(self) -> list[dict[str, Any]]:
        with self._changed:
            return [event for request in self.requests for event in request.events]

    def wait_until(self, seen: Callable[[], bool]) -> None:
        """Wait until `seen` is true of what came; fails after a limit."""
        with self._changed:
            assert self._changed.wait_for(seen, WAIT_S), f"came: {self.requests}"

    def wait_for_events(self, number: int) -> list[dict[str, Any]]:
        self.wait_until(lambda: sum(len(each.events) for each in self.requests) >= number)
        return self.events

    def wait_for_requests_at_once(self, number: int) -> None:
        self.wait_until(lambda: self._at_once >= number)

    def take(self, request: Received) -> int:
        with self._changed:
            self.requests.append(request)
            status = self.statuses.pop(0) if self.statuses else 200
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._changed.notify_all()
        self.gate.wait(WAIT_S)
        with self._changed:
            self._at_once -= 1
        return status


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver at `url`, answering until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Received(self.path, self.headers, body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/api/webhooks/booking-sync?a=%3Ab"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
