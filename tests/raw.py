"""Requests as bytes: what no library would send, in pieces, unfinished."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came until the server closed."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


def request_head(method: str, target: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    """Return the head of a request after which the connection ends."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def in_chunks(pieces: Iterable[bytes]) -> bytes:
    """Return a body in these chunks (RFC 9112, 7.1)."""
    chunks = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return b"".join(chunks) + b"0\r\n\r\n"


@contextmanager
def connected_to(base_url: str) -> Iterator[socket.socket]:
    connection = connect(base_url)
    try:
        yield connection
    finally:
        connection.close()


def connect(base_url: str) -> socket.socket:
    address = urlsplit(base_url)
    return socket.create_connection((address.hostname, address.port), timeout=ANSWER_TIMEOUT_S)


def send_raw(base_url: str, raw: bytes) -> RawAnswer:
    """Send the bytes and return the answer; raise OSError, or ValueError where none came."""
    with connected_to(base_url) as connection:
        connection.sendall(raw)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    """Return the answer that comes until the server closes."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    head, found, content = received.partition(b"\r\n\r\n")
    if not found:
        raise ValueError(f"no answer but {received!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return RawAnswer(status=int(first.split()[1]), headers=headers, content=content)
