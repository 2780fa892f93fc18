"""A TCP proxy on loopback: passes, slows, cuts or holds what goes through; and a balancer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

PIECE = 65_536
BACKLOG = 256
CONNECT_TIMEOUT_S = 3


class Proxy:
    """Goes to whichever port `choose` names for a connection; None refuses it."""

    def __init__(self, choose: Callable[[], int | None]) -> None:
        self._choose = choose
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = False
        self._closed = threading.Event()
        self.delay_s = 0.0
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()

    def cut(self) -> None:
        """Break every connection, and let no new one through."""
        self._cut = True
        with self._lock:
            broken, self._open = self._open, set()
        for each in broken:
            _shut(each)

    def heal(self) -> None:
        self._cut, self.delay_s = False, 0.0

    def close(self) -> None:
        self._closed.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        port = None if self._cut else self._choose()
        try:
            if port is None:
                raise ConnectionRefusedError
            target = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S)
        except OSError:
            _shut(caller)
            return
        target.settimeout(None)
        with self._lock:
            self._open |= {caller, target}
        for one, other in ((caller, target), (target, caller)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while piece := one.recv(PIECE):
                if self.delay_s > 0:
                    self._closed.wait(self.delay_s)
                other.sendall(piece)
        except OSError:
            pass  # one of the two is gone: so is the other, below
        finally:
            with self._lock:
                self._open -= {one, other}
            _shut(one)
            _shut(other)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was broken already
    end.close()
