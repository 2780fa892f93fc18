"""The application's answer, sent from the thread that made it.

The ASGI server takes an answer from any thread. A whole body is handed over at once, a file by its
path, so that a client who reads slowly holds neither a thread nor the file's bytes; only a body
that is made while it is sent waits for its client, and not forever.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog

from booking_api.api.middleware.refusals import describe_crash
from booking_api.server.environ import FileBody, make_environ
from booking_api.server.requests import Request

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# How long a client may take for one piece of a body that is made while it is sent.
PIECE_TIMEOUT_S = 30.0

log = structlog.get_logger(__name__)


class AlreadyAnswered(RuntimeError):
    """Somebody else has begun to answer the request."""


Headers = list[tuple[str, str]]


class StartResponse:
    """PEP 3333's `start_response`, which remembers what it is called with."""

    __slots__ = ("headers", "status", "written")

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.written: list[bytes] = []

    def __call__(
        self,
        status: str,
        headers: Headers,
        exc_info: object = None,  # noqa: ARG002 - PEP 3333's
    ) -> Callable[[bytes], None]:
        self.status = int(status.partition(" ")[0])
        self.headers = headers
        return self.written.append


class Answerer:
    """Calls the application and sends its answers; `loop` runs the ASGI server."""

    def __init__(
        self, application: WSGIApplication, base: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._application = application
        self._base = base
        self._loop = loop

    def answer(self, request: Request) -> None:
        """Answer the request, whatever happens."""
        try:
            self._call_application(request)
        except AlreadyAnswered:
            log.info("answer_came_too_late", path=request.path)
        except (Exception, SystemExit):  # or the thread would be lost
            log.exception("unhandled_exception", path=request.path)
            self._send_crash(request)
        # A view and its request hold each other, and with them the body, until some collection.
        request.body.close()

    def _call_application(self, request: Request) -> None:
        start = StartResponse()
        body = self._application(make_environ(request, self._base), start)
        try:
            self._send(request, start, body)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _send(self, request: Request, start: StartResponse, body: Iterable[bytes]) -> None:
        if isinstance(body, FileBody) and (path := find_path(body, start.headers)) is not None:
            begin(request, start.status, start.headers)
            request.send({"type": "http.response.pathsend", "path": path})
        elif isinstance(body, list) or getattr(body, "streaming", True) is False:
            send_whole(request, start.status, start.headers, b"".join([*start.written, *body]))
        else:
            self._send_pieces(request, start, body)

    def _send_pieces(self, request: Request, start: StartResponse, body: Iterable[bytes]) -> None:
        has_begun = False
        for piece in chain(start.written, body):
            if piece:
                has_begun = self._send_piece(request, start, piece, has_begun)
        if has_begun:
            request.send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            send_whole(request, start.status, start.headers, b"")

    def _send_piece(
        self, request: Request, start: StartResponse, piece: bytes, has_begun: bool
    ) -> bool:
        if not has_begun:
            begin(request, start.status, start.headers)
        message = {"type": "http.response.body", "body": piece, "more_body": True}

        async def send() -> None:
            await request.send(message)

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(PIECE_TIMEOUT_S)
        return True

    def _send_crash(self, request: Request) -> None:
        try:
            send_whole(request, *describe_crash(request.path))
        except RuntimeError:
            log.warning("answer_broken_off", path=request.path)  # its beginning has been sent


def send_whole(request: Request, status: int, headers: Headers, body: bytes) -> None:
    begin(request, status, headers)
    request.send({"type": "http.response.body", "body": body, "more_body": False})


def begin(request: Request, status: int, headers: Headers) -> None:
    """Send the head. The connection ends with it where the rest of the body will not be read.
    Raises AlreadyAnswered."""
    if not request.claim_answer():
        raise AlreadyAnswered
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if request.is_cut_off and not request.rest_is_read:
        encoded.append((b"connection", b"close"))
    request.send({"type": "http.response.start", "status": status, "headers": encoded})


def find_path(body: FileBody, headers: Headers) -> str | None:
    """Return the path of a file that is the whole answer, None where only a part of it is."""
    name = getattr(body.file, "name", None)
    if not isinstance(name, str) or not os.path.isabs(name):  # noqa: PTH117 - a string stays one
        return None
    try:
        status = os.stat(body.file.fileno())  # noqa: PTH116 - the file that is open
        is_at_start = body.file.tell() == 0
    except (OSError, ValueError):
        return None
    length = next((value for key, value in headers if key.lower() == "content-length"), None)
    if stat.S_ISREG(status.st_mode) and is_at_start and length == str(status.st_size):
        return name
    return None
