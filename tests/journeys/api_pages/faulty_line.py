"""A line between a client and the API on which a test decides what becomes of each request."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on the line; the names of its headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def is_for(self, path: str) -> bool:
        return urlsplit(self.target).path == path


@dataclass(frozen=True, slots=True)
class Passed:
    """What the API answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Line = Callable[[Sent, Callable[[], Passed]], Passed | None]
"""Given a request, and what passes it on to the API: returns the answer to hand over, None to cut
the connection without one."""


@contextmanager
def faulty_line(base_url: str, line: Line) -> Iterator[str]:
    """Yield the address of a line to the API at `base_url`."""

    class Handler(LineHandler):
        address = urlsplit(base_url).netloc
        decide = staticmethod(line)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class LineHandler(BaseHTTPRequestHandler):
    address: ClassVar[str]
    decide: ClassVar[Line]

    def do_GET(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        sent = Sent(self.command, self.path, headers, self.rfile.read(length))
        passed = self.decide(sent, lambda: pass_on(self.address, sent))
        if passed is None:
            return
        self.send_response_only(passed.status)
        for name, value in passed.headers:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(passed.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        return


def pass_on(address: str, sent: Sent) -> Passed:
    connection = http.client.HTTPConnection(address, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request(sent.method, sent.target, sent.body or None, dict(sent.headers))
        response = connection.getresponse()
        return Passed(response.status, response.getheaders(), response.read())
    finally:
        connection.close()
