"""HubSpot's webhooks, taken in by an address of the test's own and handed to the API when the test
says so: the sandbox's bytes and signatures, at a moment that is not chance's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.api import Api
from tests.sandbox import SandboxHandle
from tests.waiting import eventually
from tests.webhooks import BOOKING_SYNC, SECRET

Delivery = tuple[bytes, dict[str, str]]


@dataclass(slots=True)
class Deliveries:
    """What has come from the sandbox and was not handed on yet."""

    sandbox: SandboxHandle
    url: str
    waiting: queue.SimpleQueue[Delivery] = field(default_factory=queue.SimpleQueue)

    def begin(self) -> None:
        """Have the sandbox tell of what is changed from now on; signed without a time, because
        tests put clocks forward."""
        self.drop()
        self.sandbox.configure(webhook={"url": self.url, "secret": SECRET, "signature": "v1"})

    def hand_on(self, api: Api) -> None:
        """Give the API all that HubSpot has to tell."""
        for body, headers in self._take():
            reply = api.send("POST", BOOKING_SYNC, body=body, headers=headers)
            assert reply.status == 200, reply.body

    def drop(self) -> None:
        """Lose what has come so far."""
        for _ in self._take():
            pass

    def _take(self) -> Iterator[Delivery]:
        eventually(lambda: self.sandbox.webhooks()["pending"] == 0)
        while not self.waiting.empty():
            yield self.waiting.get()


@contextmanager
def receiving(sandbox: SandboxHandle) -> Iterator[Deliveries]:
    """Listen for the sandbox's deliveries while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature = {k: v for k, v in self.headers.items() if k.startswith("X-HubSpot")}
            deliveries.waiting.put((body, signature))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    deliveries = Deliveries(sandbox, f"http://127.0.0.1:{server.server_port}{BOOKING_SYNC}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield deliveries
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
