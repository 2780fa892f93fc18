"""An answer read until a deadline, however it comes.

A socket's time-out is for each read, and a server decides how many reads there are: of a head that
drips, of `100 Continue` again and again, of a chunk's length, of trailers without an end.
"""

from __future__ import annotations

import io
import socket
from http.client import HTTPResponse

from typing_extensions import Buffer, override

from hubspot_sync.wire.deadlines import Deadline


class _TimedReader(io.RawIOBase):
    """Reads from a socket; raises TimeoutError where a read takes too long, or the deadline has
    passed. It holds the socket open as `makefile` does."""

    def __init__(self, connected: socket.socket, deadline: Deadline, read_timeout_s: float) -> None:
        self._connected = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._deadline = deadline
        self._read_timeout_s = read_timeout_s

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int | None:
        left_s = self._deadline.remaining_s()
        if left_s <= 0:
            raise TimeoutError("The answer was still coming at the deadline.")
        self._connected.settimeout(min(self._read_timeout_s, left_s))
        return self._raw.readinto(buffer)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


def timed_response_class(deadline: Deadline, read_timeout_s: float) -> type[HTTPResponse]:
    """Return what a connection takes for its `response_class`, to read one answer with."""

    class TimedResponse(HTTPResponse):
        def __init__(
            self,
            sock: socket.socket,
            debuglevel: int = 0,
            method: str | None = None,
            url: str | None = None,
        ) -> None:
            super().__init__(sock, debuglevel, method, url)
            self.fp.close()
            self.fp = io.BufferedReader(_TimedReader(sock, deadline, read_timeout_s))

    return TimedResponse
