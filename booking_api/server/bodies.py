"""Bodies of requests, read on the event loop before a thread is given for them.

A body is read as far as its bounds go: its size, the time it may take, the number of pieces, and
how much all bodies together, and those of one address, may hold in memory. What the body takes
counts until its request is answered or its client has gone. A body that breaks off is refused,
never taken for a shorter one: an empty one may mean "all of it".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType

from booking_api.server.config import UNCOUNTED_BODY_BYTES, ServerConfig
from booking_api.server.requests import Receive, Request

# Each piece costs the event loop some 30 µs, however short: a body may come in single bytes only
# while it is short.
FREE_PIECES = 512
MIN_BYTES_PER_PIECE = 256
# What is read, and thrown away, after a refusal, so that the client gets to see the answer: one
# that is closed upon while it sends may be told of a reset connection instead.
MAX_DISCARDED_BYTES = 33_554_432
# What a body that is on its way has left when the server is told to stop.
STOP_GRACE_S = 1.0


class Refused(Exception):
    """The server's own answer; `code` is the envelope's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BodyBudget:
    """How much of memory the bodies hold, altogether and by address."""

    def __init__(self, *, max_bytes: int, max_address_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_address_bytes = max_address_bytes
        self._bytes = 0
        self._by_address: Counter[str] = Counter()

    def charge(self, request: Request) -> None:
        """Count what the request's body takes now; raise Refused where it is too much."""
        more = max(0, request.size - UNCOUNTED_BODY_BYTES) - request.counted_bytes
        if more == 0:
            return
        of_address = self._by_address[request.address] + more
        if self._bytes + more > self._max_bytes or of_address > self._max_address_bytes:
            raise Refused("RATE_LIMITED")
        self._bytes += more
        self._by_address[request.address] = of_address
        request.counted_bytes += more

    def release(self, request: Request) -> None:
        """Count the request's body no more; twice is once."""
        if request.counted_bytes == 0:
            return
        self._bytes -= request.counted_bytes
        self._by_address[request.address] -= request.counted_bytes
        if self._by_address[request.address] == 0:
            del self._by_address[request.address]
        request.counted_bytes = 0


class BodyReader:
    """Reads bodies within the bounds; used by the event loop alone."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.budget = BodyBudget(
            max_bytes=config.max_counted_bytes, max_address_bytes=config.max_address_bodies_bytes
        )
        self._timeouts: set[asyncio.Timeout] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Wait for no body any longer: what does not come now is refused."""
        self._is_stopping = True
        until_s = asyncio.get_running_loop().time() + STOP_GRACE_S
        for timeout in self._timeouts:
            if not timeout.expired():
                timeout.reschedule(min(until_s, timeout.when() or until_s))

    async def read(self, request: Request, receive: Receive) -> None:
        """Read the request's body; raise Refused."""
        if request.transfer_encoding not in {None, "chunked"}:
            raise Refused("LENGTH_REQUIRED")
        limit = self._config.max_bytes_at(request.path)
        if request.content_length is not None and request.content_length > limit:
            raise Refused("PAYLOAD_TOO_LARGE")
        try:
            async with self._time_out():
                await self._read_pieces(request, receive, limit)
        except TimeoutError as error:
            code = "RATE_LIMITED" if self._is_stopping else "REQUEST_TIMEOUT"
            raise Refused(code) from error

    async def discard(self, receive: Receive) -> None:
        """Read what is left of a refused body, keeping nothing of it."""
        discarded = pieces = 0
        try:
            async with self._time_out():
                while discarded < MAX_DISCARDED_BYTES and not comes_in_crumbs(pieces, discarded):
                    message = await receive()
                    if message["type"] != "http.request" or not message["more_body"]:
                        return
                    discarded += len(message["body"])
                    pieces += 1
        except TimeoutError:
            return

    def _time_out(self) -> _TrackedTimeout:
        seconds = STOP_GRACE_S if self._is_stopping else self._config.body_timeout_s
        return _TrackedTimeout(self._timeouts, seconds)

    async def _read_pieces(self, request: Request, receive: Receive, limit: int) -> None:
        pieces = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                request.is_broken_off = True
                raise Refused("VALIDATION_ERROR")
            piece = message["body"]
            pieces += 1
            request.size += len(piece)
            if request.size > limit:
                raise Refused("PAYLOAD_TOO_LARGE")
            if comes_in_crumbs(pieces, request.size):
                raise Refused("VALIDATION_ERROR")
            self.budget.charge(request)
            request.body.write(piece)
            if not message["more_body"]:
                break
        request.is_read = True
        request.body.seek(0)


def comes_in_crumbs(pieces: int, size: int) -> bool:
    """Whether a body of which this much has come costs too much for its size."""
    return pieces > FREE_PIECES + size // MIN_BYTES_PER_PIECE


class _TrackedTimeout:
    """asyncio's timeout, within reach of whoever ends all of them early."""

    def __init__(self, known: set[asyncio.Timeout], seconds: float) -> None:
        self._known = known
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._known.add(self._timeout)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._known.discard(self._timeout)
        await self._timeout.__aexit__(kind, error, traceback)  # raises TimeoutError
