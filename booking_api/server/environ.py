"""A request as the application gets it: the WSGI environ (PEP 3333).

What it has besides: `RAW_URI`, the target as it came over the wire, which HubSpot signs; and
`booking_api.*`, what the server knows of the request.
"""

from __future__ import annotations

import io
import sys
from functools import lru_cache
from typing import Any

from booking_api.api.context import ARRIVED_KEY
from booking_api.api.middleware.refusals import REFUSAL_KEY
from booking_api.server.requests import Request

PROTOCOLS = {"1": "HTTP/1.0", "1.1": "HTTP/1.1"}
BLOCK_BYTES = 65_536
MAX_NAME_KEPT = 64
"""Of a header's name; a caller may send one of `MAX_HEAD_BYTES`."""


class FileBody:
    """PEP 3333's `wsgi.file_wrapper`: a file that is the answer."""

    def __init__(self, file: Any, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = file
        self._block_bytes = block_bytes

    def __iter__(self) -> FileBody:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(self._block_bytes)
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        if hasattr(self.file, "close"):
            self.file.close()


def base_environ(*, workers: int) -> dict[str, Any]:
    """Return what every request's environ begins with."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "granian",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": workers > 1,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileBody,
    }


def make_environ(request: Request, base: dict[str, Any]) -> dict[str, Any]:
    """Return the environ of a request whose body has been read, or refused."""
    scope = request.scope
    environ = base.copy()
    query = scope["query_string"].decode("latin-1")
    raw_path = scope["raw_path"].decode("latin-1")
    environ["REQUEST_METHOD"] = scope["method"]
    environ["PATH_INFO"] = request.path
    environ["QUERY_STRING"] = query
    environ["RAW_URI"] = f"{raw_path}?{query}" if query else raw_path
    environ["SERVER_PROTOCOL"] = PROTOCOLS.get(scope["http_version"], "HTTP/1.1")
    environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"]
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = scope["client"]
    environ["wsgi.url_scheme"] = scope["scheme"]
    add_headers(environ, scope["headers"])
    if environ.get("HTTP_HOST") == "" and scope["http_version"] == "1":
        del environ["HTTP_HOST"]  # the ASGI server's own; HTTP/1.0 may do without
    refused = request.refusal is not None
    environ["CONTENT_LENGTH"] = "0" if refused else str(request.size)
    environ["wsgi.input"] = io.BytesIO() if refused else request.body
    environ[ARRIVED_KEY] = request.arrived_s
    if refused:
        environ[REFUSAL_KEY] = request.refusal
    return environ


def add_headers(environ: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> None:
    """Add the headers; those of one name are joined, as RFC 9110 (5.3) and RFC 6265 (5.4) say."""
    for name, value in headers:
        key = recall_environ_key(name) if len(name) <= MAX_NAME_KEPT else environ_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text


def environ_key(name: bytes) -> str | None:
    """Return the environ's name of a header, None for those that the application must not see.

    With an underscore in its name a header would pass for the one with a hyphen, which a proxy may
    have checked. How the body was framed is no more true of the body that has been read.
    """
    if b"_" in name or name in {b"content-length", b"transfer-encoding"}:
        return None
    if name == b"content-type":
        return "CONTENT_TYPE"
    return "HTTP_" + name.decode("latin-1").upper().replace("-", "_")


recall_environ_key = lru_cache(maxsize=1_024)(environ_key)
