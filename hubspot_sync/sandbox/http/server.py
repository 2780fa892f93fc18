"""Sockets: HTTP/1.1 with keep-alive, a thread for each connection, cuts where told.

Paths under `/_sandbox/` go to the control interface and are never counted or delayed; all others
are an exchange with HubSpot.
"""

from __future__ import annotations

import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from typing import Any

from typing_extensions import override

from hubspot_sync.sandbox.http.control import Control
from hubspot_sync.sandbox.http.exchange import Exchange, Received
from hubspot_sync.sandbox.messages import Reply

CONTROL_PREFIX = "/_sandbox/"
WAITING_CONNECTIONS = 1024
NO_CONTENT = 204


class SandboxServer(socketserver.ThreadingTCPServer):
    """Listens as soon as it is made; `serve_forever` answers until `shutdown`."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = WAITING_CONNECTIONS

    def __init__(self, address: tuple[str, int], exchange: Exchange, control: Control) -> None:
        self.exchange = exchange
        self.control = control
        super().__init__(address, _Connection)

    @property
    def url(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "HubSpotSandbox"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    server: SandboxServer

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(CONTROL_PREFIX):
            self._send(self.server.control.answer(self.command, self.path, raw))
            return
        headers = {name: self.headers.get(name, "") for name in ("Authorization", "Content-Type")}
        reply = self.server.exchange.answer(Received(self.command, self.path, headers, raw))
        if reply is None:
            self._cut()
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

    def _send(self, reply: Reply) -> None:
        content = reply.content
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != NO_CONTENT:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """The call log is kept elsewhere."""
