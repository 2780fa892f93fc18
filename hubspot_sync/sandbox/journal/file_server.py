"""The journal's files on an address of their own, as HubSpot's are on a storage service's.

An address holds for a while, and by itself: whoever sends a token along has two ways to be believed
and is refused, as S3 does. Answers that are no file are S3's XML. What was asked is kept without
the query, for whoever wants to know whether a token came.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from hubspot_sync.sandbox.config import LiveConfig
from hubspot_sync.sandbox.journal.entries import Journal
from hubspot_sync.sandbox.messages import Reply

PATH = "/journal-files/"
XML = "application/xml"

Answer = Callable[[str, str, Callable[[], Reply]], Reply | None]
"""Answers a method and path by what is given, or as a fault on order says; None: cut."""


@dataclass(frozen=True, slots=True)
class FileCall:
    """One call: the file, how it ended (0: cut), whether a token came along."""

    file: str
    status: int
    authorized: bool


class FileServer(socketserver.ThreadingTCPServer):
    """Listens as soon as it is made; `serve_forever` answers until `shutdown`."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(
        self, address: tuple[str, int], journal: Journal, live: LiveConfig, answer: Answer
    ) -> None:
        self.journal = journal
        self.live = live
        self.answer = answer
        self._lock = threading.Lock()
        self._calls: list[FileCall] = []
        super().__init__(address, _Connection)
        host, port = self.socket.getsockname()[:2]
        journal.base_url = f"http://{host}:{port}"

    def note(self, call: FileCall) -> None:
        with self._lock:
            self._calls.append(call)

    def calls(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(each) for each in self._calls]

    def forget(self) -> None:
        with self._lock:
            self._calls.clear()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "AmazonS3"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: FileServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        authorized = self.headers.get("Authorization") is not None
        reply = self.server.answer("GET", parts.path, lambda: self._file(authorized=authorized))
        status = 0 if reply is None else reply.status
        self.server.note(FileCall(parts.path.removeprefix(PATH), status, authorized))
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = reply.content
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, *, authorized: bool) -> Reply:
        if authorized:
            return _refused(400, "InvalidArgument", "Only one auth mechanism allowed")
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        offset = parts.path.removeprefix(PATH).removesuffix(".json")
        until, signature = query.get("X-Amz-Expires-At", ""), query.get("X-Amz-Signature", "")
        content = self.server.journal.open_file(offset, until, signature)
        if content is None:
            status = self.server.live.journal.expired_status
            return _refused(status, "AccessDenied", "Request has expired")
        packed = {"Content-Encoding": "gzip"} if self.server.live.journal.gzip else {}
        return Reply(200, headers=packed, raw=content, content_type="application/json")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """The addresses are credentials."""


def _refused(status: int, code: str, message: str) -> Reply:
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, raw=xml.encode(), content_type=XML)
