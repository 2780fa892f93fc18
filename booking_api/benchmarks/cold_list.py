"""What a cold list costs this process itself: its own processor time, HubSpot's left out.

Runs as a process of its own, with a server's settings. It reads addresses from its input, one a
line, asks the application for each, and writes one line of JSON: the milliseconds of processor time
that each took, its threads' included.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def measure(application: WSGIApplication, address: str) -> float:
    """Return the milliseconds one answer takes; raise RuntimeError where it is not 200."""
    statuses: list[str] = []

    def start_response(status: str, *_: object) -> None:
        statuses.append(status)

    environ = make_environ(address)
    began_s = time.process_time()
    body: Iterable[bytes] = application(environ, start_response)  # type: ignore[arg-type]
    b"".join(body)
    took_s = time.process_time() - began_s
    close = getattr(body, "close", None)
    if close is not None:
        close()
    if statuses != ["200 OK"]:
        raise RuntimeError(f"{address.partition('?')[0]}: {statuses}")
    return took_s * 1_000


def make_environ(address: str) -> dict[str, object]:
    parts = urlsplit(address)
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "*/*",
        "CONTENT_LENGTH": "0",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
    }


def main() -> None:
    # Sets Django up, which what is imported after it needs.
    from booking_api.wsgi import application

    from booking_api.ops import lifecycle  # isort: skip

    took_ms = [measure(application, line.strip()) for line in sys.stdin]
    sys.stdout.write(json.dumps(took_ms) + "\n")
    lifecycle.end_serving()


if __name__ == "__main__":
    main()
