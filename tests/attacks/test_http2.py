"""HTTP/2 in cleartext, of which one connection is a hundred requests: it is not spoken."""

from __future__ import annotations

from tests.raw import connect, connected_to, read_answer, request_head
from tests.server import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def test_prior_knowledge_is_not_taken_up(server: Server) -> None:
    connections = [connect(server.base_url) for _ in range(140)]
    for connection in connections:
        connection.sendall(PREFACE + SETTINGS)

    assert server.get("/api/health").status == 200
    for connection in connections:
        try:
            received = connection.recv(100)
        except ConnectionResetError:
            received = b""
        assert received == b""
        connection.close()


def test_an_upgrade_is_not_taken_up(server: Server) -> None:
    head = request_head(
        "GET", "/api/health", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
    )
    with connected_to(server.base_url) as connection:
        connection.sendall(head)
        assert read_answer(connection).status == 200
