"""Our server around an application that says what it was given: `python -m … PORT`.

`/api/ready` and `/api/health` have lanes of their own, so they tell and steer what the others do.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import django

django.setup()

from booking_api.server.application import ServerApplication  # noqa: E402 - needs Django set up
from booking_api.server.config import CONNECTIONS_BYTES, ServerConfig  # noqa: E402 - as above
from booking_api.server.server import make_server  # noqa: E402 - as above

CONFIG = ServerConfig(
    threads=4,
    max_queued=16,
    max_wait_s=20,
    max_body_bytes=100_000,
    max_webhook_body_bytes=200_000,
    body_timeout_s=2,
    max_bodies_bytes=CONNECTIONS_BYTES + 500_000,
    max_address_bodies_bytes=300_000,
    trusted_proxies=("127.0.0.1/32",),
    stop_timeout_s=5,
)
STREAMED = [b"one ", b"", b"two ", b"three"]
FILE = Path(__file__)


class Echo:
    """A WSGI application. `/hold`, and whatever is asked with `?hold`, waits until `/api/ready`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._held = 0
        self._let_go = 0
        self._busy = 0
        self._served: list[str] = []
        self._closed = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if "booking_api.refusal" in environ:
            if path == "/hold":
                self._wait_until_let_go()
            return self._say(start, environ["booking_api.refusal"], status="400 Refused")
        answer = getattr(self, f"_answer_{path.strip('/').replace('api/', '')}", self._answer_echo)
        if environ["QUERY_STRING"] == "hold":
            answer = self._answer_hold
        with self._changed:
            self._served.append(f"{path}?{environ['QUERY_STRING']}")
        result: Iterable[bytes] = answer(environ, start)
        return result

    def _say(self, start: Any, said: object, *, status: str = "200 OK") -> list[bytes]:
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(said).encode()]

    def _answer_echo(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        body = environ["wsgi.input"].read().decode("latin-1")
        texts = {key: value for key, value in environ.items() if isinstance(value, str | bool)}
        return self._say(start, {"environ": texts, "body": body})

    def _answer_health(self, _: dict[str, Any], start: Any) -> list[bytes]:
        said = {
            "busy": self._busy,
            "queued": application.queued,
            "closed": self._closed,
            "served": self._served,
        }
        return self._say(start, said)

    def _answer_ready(self, _: dict[str, Any], start: Any) -> list[bytes]:
        with self._changed:
            self._let_go = self._held
            self._changed.notify_all()
        return self._say(start, "let go")

    def _answer_hold(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self._wait_until_let_go()
        return self._answer_echo(environ, start)

    def _answer_stay(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        """As `/hold`, but a refusal of it is answered."""
        return self._answer_hold(environ, start)

    def let_go(self) -> None:
        """Let go of what lingers: `/linger` is under way until the server is told to stop."""
        self._stopping.set()

    def _answer_linger(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self._busy += 1
        self._stopping.wait()
        return self._answer_echo(environ, start)

    def _wait_until_let_go(self) -> None:
        with self._changed:
            self._held += 1
            self._busy += 1
            mine = self._held
            self._changed.wait_for(lambda: self._let_go >= mine)
            self._busy -= 1

    def _answer_stream(self, _: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(
            "200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        )
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield from STREAMED
        finally:
            self._closed += 1

    def _answer_broken(self, _: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        yield b"one "
        raise RuntimeError("amid its answer")

    def _answer_file(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", str(FILE.stat().st_size))])
        body: Iterable[bytes] = environ["wsgi.file_wrapper"](FILE.open("rb"))
        return body

    def _answer_rest_of_file(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        file = FILE.open("rb")
        file.seek(100)
        start("206 Partial Content", [("Content-Length", str(FILE.stat().st_size - 100))])
        body: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return body

    def _answer_nothing(self, _: dict[str, Any], start: Any) -> list[bytes]:
        start("204 No Content", [])
        return []

    def _answer_raise(self, _: dict[str, Any], _start: Any) -> list[bytes]:
        raise RuntimeError("the secret recipe")

    def _answer_exit(self, _: dict[str, Any], _start: Any) -> list[bytes]:
        sys.exit(3)


echo = Echo()
application = ServerApplication(echo, CONFIG, on_stop=echo.let_go)

if __name__ == "__main__":
    target = "tests.booking_api.server.echo_server:application"
    make_server(
        target, host="127.0.0.1", port=int(sys.argv[1]), workers=1, stop_timeout_s=5
    ).serve()
