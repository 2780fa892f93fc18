"""A server that does to a connection exactly what a test says, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, int], bool]
"""Given a connection that has sent a request, and its number; whether to go on with it."""


def reply(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answers(raw: bytes) -> Behaviour:
    """Answer every request with this, and keep the connection."""

    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(raw)
        return True

    return behave


class WireServer:
    """A server on a free port of this machine; `requests` is what it was sent."""

    def __init__(self, behave: Behaviour) -> None:
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._counting = threading.Lock()
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self.stopped.set()
        for open_socket in (self._listener, *self._connections):
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while (request := _read_request(connection)) is not None:
                with self._counting:
                    self.requests.append(request)
                    number = len(self.requests)
                if not self._behave(connection, number):
                    break
        except OSError:
            return
        finally:
            connection.close()


@contextmanager
def wire_server(behave: Behaviour) -> Iterator[WireServer]:
    server = WireServer(behave)
    try:
        yield server
    finally:
        server.stop()


def _read_request(connection: socket.socket) -> bytes | None:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return None
        received += piece
    head, body = received.split(b"\r\n\r\n", 1)
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
