"""One request, from its head to its answer, as the server knows it."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from booking_api.api.proxies import resolve_client

Receive = Callable[[], Awaitable[dict[str, Any]]]
# Questions that anybody may ask, and whose answers HubSpot may have to be asked for.
ANONYMOUS_PATHS = frozenset({"/api/mock-exams/available", "/api/mock-exams/available/"})
# It sends when called; awaited, it waits for the client to take what is sent.
Send = Callable[[dict[str, Any]], Any]


@dataclass(slots=True, eq=False)
class Request:
    """`scope` is the ASGI server's; `path` is as WSGI has it, percent-decoded and Latin-1.

    `refusal` names the answer that the server itself has decided on; see
    `api/middleware/refusals.py`. `answers` holds one item until somebody begins to answer.
    `counted_bytes` are those of the body that count against the bounds. `is_broken_off` is a body
    that ended too early, after which nothing tells whether the client is still there.
    """

    scope: dict[str, Any]
    send: Send
    path: str
    address: str
    done: asyncio.Future[None]
    content_length: int | None = None
    transfer_encoding: str | None = None
    waits_for_continue: bool = False
    body: io.BytesIO = field(default_factory=io.BytesIO)
    size: int = 0
    counted_bytes: int = 0
    is_read: bool = False
    is_broken_off: bool = False
    is_queued: bool = False
    arrived_s: float = field(default_factory=time.monotonic)
    refusal: str | None = None
    answers: list[None] = field(default_factory=lambda: [None])

    def claim_answer(self) -> bool:
        """Return whether it is the caller who answers: of two threads one, the first."""
        try:
            self.answers.pop()
        except IndexError:
            return False
        return True

    def stand_in(self, refusal: str) -> Request:
        """Return a request to be refused in place of this one, which a thread is at work on; who of
        the two is first answers."""
        return replace(self, refusal=refusal, body=io.BytesIO())

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody has to say who they are to ask this."""
        return self.path in ANONYMOUS_PATHS

    @property
    def has_body(self) -> bool:
        return self.transfer_encoding is not None or self.content_length not in {None, 0}

    @property
    def is_cut_off(self) -> bool:
        """Whether it is answered before its whole body has come."""
        return self.has_body and not self.is_read

    @property
    def rest_is_read(self) -> bool:
        """Whether the rest of a cut off body is worth reading: not from whom it took too long, nor
        from who waits to be told to send."""
        waits = self.waits_for_continue and self.size == 0
        return self.refusal != "REQUEST_TIMEOUT" and not waits


def open_request(scope: dict[str, Any], send: Send, trusted_proxies: tuple[str, ...]) -> Request:
    """Return the request whose head has come."""
    headers = pick_headers(scope["headers"])
    length = headers.get(b"content-length")
    encoding = headers.get(b"transfer-encoding")
    forwarded_for = headers.get(b"x-forwarded-for", b"").decode("latin-1")
    return Request(
        scope=scope,
        send=send,
        path=unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        address=resolve_client(scope["client"][0], forwarded_for, trusted_proxies),
        done=asyncio.get_running_loop().create_future(),
        # The parser has refused what is no number, and two that differ.
        content_length=None if length is None else int(length.partition(b",")[0]),
        transfer_encoding=None if encoding is None else encoding.decode("latin-1").lower(),
        waits_for_continue=b"expect" in headers,
    )


HEADERS_ASKED = frozenset({b"content-length", b"transfer-encoding", b"x-forwarded-for", b"expect"})


def pick_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that the server itself asks for; one that came twice is joined."""
    picked: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in HEADERS_ASKED:
            picked[name] = value if name not in picked else picked[name] + b"," + value
    return picked
