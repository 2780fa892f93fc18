"""A file comes by TLS from whoever has the name's certificate, whatever the address is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.journal.entries import JournalEntry, SignedAddress
from hubspot_sync.wire.journal.files import FileFetcher
from tests.hubspot_sync.journals import journal_config, soon
from tests.hubspot_sync.tls_server import TlsServer, tls_server

NAME = "files.example.org"
FILE = b'{"journalEvents":[{"n":1}]}'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with tls_server(tmp_path_factory.mktemp("certificate"), NAME, FILE) as server:
        yield server


def fetch(files: TlsServer, name: str, trust: ssl.SSLContext | None) -> tuple[object, ...]:
    fetcher = FileFetcher(
        journal_config("https://x"),
        lambda _call: None,
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=trust,
    )
    address = SignedAddress(f"https://{name}:{files.port}/f?signature=1")
    entry = JournalEntry(offset="o", address=address, expires_at=None)
    return fetcher.fetch(entry, soon()).events


@pytest.mark.parametrize("name", [NAME, f"{NAME}."])
def test_the_names_certificate_is_asked_for_and_believed(files: TlsServer, name: str) -> None:
    assert fetch(files, name, files.trust()) == ({"n": 1},)
    assert files.asked[-1] == NAME


def test_another_names_certificate_is_not_believed(files: TlsServer) -> None:
    with pytest.raises(Unavailable):
        fetch(files, "other.example.org", files.trust())


def test_a_certificate_that_nobody_vouches_for_is_not_believed(files: TlsServer) -> None:
    with pytest.raises(Unavailable):
        fetch(files, NAME, None)
