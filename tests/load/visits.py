"""The application in this process, called as a server calls it, by students again and again; what
it holds in memory after the first part of the requests and after all. It reads an `Order` from its
input and writes a `Held` to its output.

No sockets and no client beside it: a hundred thousand requests are a minute or two. Nothing of the
answers is kept: it would be what is measured.
"""

from __future__ import annotations

import gc
import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from booking_api.server.memory import return_memory_early
from tests.load.traffic import Person
from tests.memory import resident_bytes_of

THREADS = 12
SEED = 0
LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"


class Order(Struct, frozen=True, kw_only=True):
    """Who comes, and after how many requests to look at memory."""

    people: list[Person]
    mock_types: list[str]
    first: int
    every: int


class Held(Struct, frozen=True, kw_only=True):
    """Bytes after the first requests and after all; how many were served; how long all took."""

    first_bytes: int
    last_bytes: int
    served: int
    seconds: float


class Visitors:
    """Students by Zipf's law, as in the benchmark's hour: some come every day, most seldom. Each
    visit is five requests."""

    def __init__(self, application: Any, order: Order) -> None:
        self._application = application
        self._order = order
        self._weights = list(itertools.accumulate(1 / n for n in range(1, len(order.people) + 1)))
        self._seeds = random.Random(SEED)
        self._lock = threading.Lock()
        self._left = 0

    def make(self, requests: int) -> int:
        """Have so many requests made, by threads that end with the last of them; return how many
        were served. Raise what the application raised of one."""
        # Drawn before any of them begins: each sees other students than the others.
        chances = [random.Random(self._seeds.random()) for _ in range(THREADS)]
        self._left = requests
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(threads.map(self._work, chances))

    def _work(self, chance: random.Random) -> int:
        served = 0
        for path, query, address in self._visits(chance):
            with self._lock:
                if self._left == 0:
                    break
                self._left -= 1
            served += self._ask(path, query, address)
        return served

    def _visits(self, chance: random.Random) -> Iterator[tuple[str, str, str]]:
        people, mock_types = self._order.people, self._order.mock_types
        while True:
            (person,) = chance.choices(people, cum_weights=self._weights)
            listed = (LIST, urlencode(person.pair), person.address)
            offered = (
                AVAILABLE,
                urlencode({"mock_type": chance.choice(mock_types)}),
                person.address,
            )
            yield from (listed, offered, listed, offered, listed)

    def _ask(self, path: str, query: str, address: str) -> bool:
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_ACCEPT_ENCODING": "gzip",
            "REMOTE_ADDR": address,
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
        }

        def start_response(status: str, *_: object) -> None:
            statuses.append(status)

        body = self._application(environ, start_response)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()
        return statuses[0].startswith("200")


def held_bytes() -> int:
    gc.collect()
    return resident_bytes_of(Path("/proc/self/status"))


def main() -> None:
    # As the server does (`booking_api/server/entry.py`).
    return_memory_early()
    from booking_api.wsgi import application

    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    visitors = Visitors(application, order)
    began_s = time.perf_counter()
    served = visitors.make(order.first)
    first_bytes = held_bytes()
    served += visitors.make(order.every - order.first)
    held = Held(
        first_bytes=first_bytes,
        last_bytes=held_bytes(),
        served=served,
        seconds=time.perf_counter() - began_s,
    )
    sys.stdout.buffer.write(msgspec.json.encode(held))
    sys.stdout.flush()
    from booking_api import composition

    composition.close()


if __name__ == "__main__":
    main()
