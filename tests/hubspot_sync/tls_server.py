"""A server that speaks TLS, with a certificate of its own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override


class _Server(HTTPServer):
    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us hangs up."""


@dataclass(slots=True)
class TlsServer:
    """At a port of 127.0.0.1. `asked` are the names that clients asked for, `hosts` those that
    their requests were for."""

    port: int
    certificate: Path
    asked: list[str | None] = field(default_factory=list)
    hosts: list[str | None] = field(default_factory=list)

    def trust(self) -> ssl.SSLContext:
        """Return the TLS of a client that believes this server's certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))


@contextmanager
def tls_server(folder: Path, name: str, answer: bytes) -> Iterator[TlsServer]:
    """A server that answers everything with this body. Its certificate is for `name`, and made in
    `folder`; the test is skipped where it cannot be made."""
    certificate = _make_certificate(folder, name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.hosts.append(self.headers["Host"])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - the name that the base class calls

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "key.pem")
    server = _Server(("127.0.0.1", 0), Handler)
    given = TlsServer(server.server_port, certificate)
    context.sni_callback = lambda _socket, asked, _context: given.asked.append(asked)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield given
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _make_certificate(folder: Path, name: str) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl, to make a certificate")
    certificate = folder / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"),
            *(f"subjectAltName=DNS:{name}", "-keyout", str(folder / "key.pem"), "-out"),
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate
