"""A file comes by TLS from whoever has the name's certificate, whatever the address is."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.journal.entries import JournalEntry, SignedAddress
from hubspot_sync.wire.journal.files import FileFetcher
from tests.hubspot_sync.journals import journal_config, soon

NAME = "files.example.org"
FILE = b'{"journalEvents":[{"n":1}]}'


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        self.wfile.write(FILE)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(HTTPServer):
    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us hangs up."""


@dataclass(slots=True)
class TlsFiles:
    """A server with a certificate for `NAME` that `trust` trusts; `asked` are the names that
    clients asked for."""

    port: int
    trust: ssl.SSLContext
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsFiles]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl, to make a certificate")
    folder: Path = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out"),
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server(("127.0.0.1", 0), _Files)
    given = TlsFiles(server.server_port, ssl.create_default_context(cafile=str(certificate)))
    context.sni_callback = lambda _socket, name, _context: given.asked.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield given
    server.shutdown()
    serving.join()
    server.server_close()


def fetch(files: TlsFiles, name: str, trust: ssl.SSLContext | None) -> tuple[object, ...]:
    fetcher = FileFetcher(
        journal_config("https://x"),
        lambda _call: None,
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=trust,
    )
    address = SignedAddress(f"https://{name}:{files.port}/f?signature=1")
    entry = JournalEntry(offset="o", address=address, expires_at=None)
    return fetcher.fetch(entry, soon()).events


def test_the_names_certificate_is_asked_for_and_believed(files: TlsFiles) -> None:
    assert fetch(files, NAME, files.trust) == ({"n": 1},)
    assert files.asked[-1] == NAME


def test_another_names_certificate_is_not_believed(files: TlsFiles) -> None:
    with pytest.raises(Unavailable):
        fetch(files, "other.example.org", files.trust)


def test_a_certificate_that_nobody_vouches_for_is_not_believed(files: TlsFiles) -> None:
    with pytest.raises(Unavailable):
        fetch(files, NAME, None)
