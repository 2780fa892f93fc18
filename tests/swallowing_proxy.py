"""A proxy in front of a server that can be told to swallow: it takes all and passes nothing on.

The other side's kernel is still there and acknowledges, so that no time-out of TCP sees anything.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536


class SwallowingProxy:
    """Listens on a port of its own before `host:port`; `connections` counts all there ever were."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._passes = threading.Event()
        self._passes.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        self._passes.clear()

    def swallow_what_is_open(self) -> None:
        """Swallow on the connections there are; new ones are passed on."""
        passes, self._passes = self._passes, threading.Event()
        self._passes.set()
        passes.clear()

    def pass_on(self) -> None:
        self._passes.set()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Cut all connections, and take no new ones inside the block: the server starts anew."""
        for each in (self._listener, *self._sockets):
            cut(each)
        yield
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            cut(each)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return  # closed
            self.connections += 1
            self._sockets += [client, server]
            for one, other in ((client, server), (server, client)):
                pump = threading.Thread(
                    target=self._pump, args=(one, other, self._passes), daemon=True
                )
                pump.start()

    def _pump(self, one: socket.socket, other: socket.socket, passes: threading.Event) -> None:
        try:
            while piece := one.recv(CHUNK_BYTES):
                if passes.is_set():
                    other.sendall(piece)
            other.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed


def cut(connection: socket.socket) -> None:
    """End a connection that another thread may be reading from."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already
    finally:
        connection.close()


@contextmanager
def proxy_before(url: str) -> Iterator[tuple[SwallowingProxy, str]]:
    """A proxy before the server at this address, and the address that leads through it."""
    address = urlsplit(url)
    proxy = SwallowingProxy(address.hostname or "127.0.0.1", address.port or 5432)
    login = f"{address.username}@" if address.username else ""
    if address.password:
        login = f"{address.username}:{address.password}@"
    try:
        yield proxy, urlunsplit(address._replace(netloc=f"{login}127.0.0.1:{proxy.port}"))
    finally:
        proxy.close()
