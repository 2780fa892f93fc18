"""The production server: granian, the one place that says how.

One worker by default: the locmem cache belongs to one process. Its threads are ours, see
`application.py`. HTTP/1 alone is spoken: over HTTP/2 one connection is a hundred requests, which
nothing here counts. docs/decisions/0001-granian.md and 0012-server.md have the reasons.
"""

from __future__ import annotations

import resource
import socket
import threading
from typing import Any

from granian._granian import ListenerSpec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer
from typing_extensions import override

from booking_api.server.config import HEADERS_TIMEOUT_S, MAX_CONNECTIONS, MAX_HEAD_BYTES

STOP_POLL_S = 0.1
TARGET = "booking_api.server.entry:application"
# How long a client may leave an answer unread once the kernel's buffers are full of it.
UNREAD_TIMEOUT_MS = 30_000


class Server(MPServer):
    """granian, whose stop always ends.

    Its own handler (2.8.7) sets an event in the middle of the main thread's wait for that event,
    and its loop may clear it unseen. A signal to the whole group (Ctrl-C, systemd) ends the workers
    at the same moment, which made one stop in three hang. Here the handler only sets a flag.

    And one whose clients must read: a connection that nobody reads from would be kept for good.
    """

    @override
    def _init_shared_socket(self) -> None:
        # One listening socket for all workers, where granian makes one for each: this one can be
        # given options, which every connection inherits, and loses nobody when a worker is
        # replaced.
        holder: Any = ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._shd = holder
        self._sfd = holder.get_fd()
        self._sso = socket.socket(fileno=self._sfd)
        self._sso.set_inheritable(True)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux (RFC 5482, tcp(7))
            self._sso.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)

    @override
    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # it has no types
        threading.Thread(target=self._wake_main_loop_to_stop, daemon=True).start()

    @override
    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        self.interrupt_signal = True
        for worker in self.wrks:
            worker.interrupt_by_parent = True  # or its end is taken for a crash

    @override
    def shutdown(self, exit_code: int = 0) -> None:
        if self.interrupt_signal:
            # A worker that the same signal has ended sooner than it was told of here did not fail.
            self.interrupt_children.clear()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # it has no types

    def _wake_main_loop_to_stop(self) -> None:
        pause = threading.Event()
        while not pause.wait(STOP_POLL_S):
            if self.interrupt_signal:
                self.main_loop_interrupt.set()


def serve(*, host: str, port: int, workers: int, stop_timeout_s: int) -> None:
    """Serve the API until told to stop; SystemExit then, at most `stop_timeout_s` later."""
    raise_open_files_limit()
    server = make_server(
        TARGET, host=host, port=port, workers=workers, stop_timeout_s=stop_timeout_s
    )
    server.serve()


def make_server(
    target: str, *, host: str, port: int, workers: int, stop_timeout_s: int = 30
) -> Server:
    """Return a server of the ASGI application at `target`, as module:name. Workers that have not
    ended `stop_timeout_s` after they were told to are killed."""
    return Server(
        target,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADERS_TIMEOUT_S * 1_000, max_buffer_size=MAX_HEAD_BYTES
        ),
        websockets=False,
        workers=workers,
        backlog=MAX_CONNECTIONS,
        backpressure=MAX_CONNECTIONS,
        workers_kill_timeout=stop_timeout_s,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
    )


def raise_open_files_limit() -> None:
    """Let the process open as many files as it may: every connection is one, and the usual soft
    limit of 1 024 is reached by idle ones."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
