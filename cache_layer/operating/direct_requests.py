"""Requests to a server of ours, which alone is to see what they carry.

They go past the proxies that the environment names (HTTP_PROXY is for the world outside, and what
is behind it has no 127.0.0.1 of ours), and no answer sends them on to another address.
"""

from __future__ import annotations

from email.message import Message
from typing import IO, Any, cast
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from typing_extensions import override


class _StayHere(HTTPRedirectHandler):
    """Python's own sends `Authorization` on to wherever an answer points."""

    @override
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Leave a redirection what it is: an HTTPError with its status."""


_opener = build_opener(ProxyHandler({}), _StayHere())


def open_directly(request: Request | str, *, timeout_s: float) -> Any:
    """Return the response, as urllib.request.urlopen does; raises what that raises, and HTTPError
    for a redirection. `timeout_s` is for each wait. The address must be http or https."""
    return cast(Any, _opener.open(request, timeout=timeout_s))
