"""Calls go by TLS to whoever has the certificate of HubSpot's name, wherever that name leads."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests.adapters

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request
from tests.hubspot_sync.clients import client_of
from tests.hubspot_sync.tls_server import TlsServer, tls_server

NAME = "hubspot.example.org"
LONGEST_S = 10.0
READ = Request(
    operation=Operation.BATCH_READ,
    object_type="0-1",
    body={"inputs": [{"id": "1"}], "properties": []},
)


@pytest.fixture(scope="module")
def hubspot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("certificate")
    with tls_server(folder, NAME, b'{"results":[]}') as server:
        yield server


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All names lead to this machine; what was looked up."""
    look_up, asked = socket.getaddrinfo, list[str]()

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "127.0.0.1":
            asked.append(host)
        return look_up("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.fixture
def _trusted(hubspot: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine believes this server's certificate."""
    path = str(hubspot.certificate)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", path)


def ask(hubspot: TlsServer, name: str) -> int:
    with client_of(f"https://{name}:{hubspot.port}", max_attempts=1) as client:
        context = CallContext(deadline=Deadline.after(LONGEST_S))
        return client.transport.call(READ, context).status


@pytest.mark.usefixtures("_trusted")
def test_the_names_certificate_is_asked_for_and_believed(
    hubspot: TlsServer, looked_up: list[str]
) -> None:
    assert ask(hubspot, NAME) == 200

    assert hubspot.asked[-1] == NAME
    assert looked_up == [NAME]


@pytest.mark.usefixtures("_trusted")
def test_a_dot_at_its_end_is_for_the_look_up_alone(
    hubspot: TlsServer, looked_up: list[str]
) -> None:
    """It says that the name is whole; certificates are for names without."""
    assert ask(hubspot, f"{NAME}.") == 200

    assert looked_up == [f"{NAME}."]
    assert hubspot.asked[-1] == NAME
    assert hubspot.hosts[-1] == f"{NAME}:{hubspot.port}"


@pytest.mark.usefixtures("_trusted", "looked_up")
def test_another_names_certificate_is_not_believed(hubspot: TlsServer) -> None:
    before = len(hubspot.hosts)

    with pytest.raises(Unavailable):
        ask(hubspot, "other.example.org")

    assert hubspot.asked[-1] == "other.example.org"
    assert len(hubspot.hosts) == before, "it was sent something"


@pytest.mark.usefixtures("looked_up")
def test_a_certificate_that_nobody_vouches_for_is_not_believed(hubspot: TlsServer) -> None:
    before = len(hubspot.hosts)

    with pytest.raises(Unavailable):
        ask(hubspot, NAME)

    assert len(hubspot.hosts) == before, "it was sent something"
