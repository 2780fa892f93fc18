"""Webhooks before a full cache: how long HubSpot waits, what it is asked, what readers notice.

A hundred events in one request while the cache holds fifty thousand entries; then a flood, a
hundred requests of a hundred events in ten seconds, while readers read. The API is a process of its
own and the events are signed as HubSpot signs them.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import math
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from booking_api.benchmarks.portal_data import BOOKINGS, PortalData, Student
from booking_api.benchmarks.processes import ROOT, Address, Sandbox, running_api, running_sandbox
from booking_api.benchmarks.throughput import LIST_PATH, fetch, server_environment

WEBHOOK_PATH = "/api/webhooks/booking-sync"
SECRET = "benchmark-secret-of-this-run"  # noqa: S105 - guards invented data
EVENTS_PER_REQUEST = 100
EXAMS = 40
MAX_CONCURRENT_REQUESTS = 10  # requests; hubspot-facts, Webhooks
READERS = 2
MAX_WAIT_S = 60.0
POLL_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookFigures:
    """Seconds HubSpot waited for a request; its calls for one request's events, beyond one for each
    hundred bookings counted; and of the flood: answers that were not 200, seconds it took to send
    and until all was applied, HubSpot's calls, the readers' median against that of a quiet time."""

    entries: int
    answered_s: tuple[float, ...]
    calls: int
    flood_failures: int
    flood_s: float
    applied_s: float
    flood_calls: int
    quiet_ms: float
    flooded_ms: float

    @property
    def slowdown(self) -> float:
        return self.flooded_ms / self.quiet_ms


@dataclass(slots=True)
class WebhookTarget:
    """The running parts, and the bookings that events are about."""

    sandbox: Sandbox
    api: Address
    database: Path
    bookings: list[str]
    readers: list[Student]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def post_events(self) -> tuple[int, float]:
        """Post a hundred events; return the status and the seconds until the answer."""
        body = json.dumps([self._event(next(self.numbers)) for _ in range(EVENTS_PER_REQUEST)])
        at_ms = str(int(datetime.now(UTC).timestamp() * 1000))
        signed = f"POST{self.api.url}{WEBHOOK_PATH}{body}{at_ms}".encode()
        made = b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        headers = {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": at_ms}
        started_s = time.perf_counter()
        status = self._post(body.encode(), headers)
        return status, time.perf_counter() - started_s

    def wait_until_applied(self) -> None:
        """Return when neither the inbox nor the recounts have anything left."""
        pause = threading.Event()
        for _ in range(int(MAX_WAIT_S / POLL_S)):
            if self._count_left() == 0:
                return
            pause.wait(POLL_S)
        raise RuntimeError("The events are not applied.")

    def read_lists(self, stop: threading.Event) -> list[float]:
        """Read lists until told to stop; return how long each took, in milliseconds."""
        took_ms: list[float] = []
        for student in itertools.cycle(self.readers):
            if stop.is_set():
                return took_ms
            started_s = time.perf_counter()
            fetch(self.api, f"{LIST_PATH}?{urlencode(student.pair)}")
            took_ms.append((time.perf_counter() - started_s) * 1000)
        return took_ms

    def _event(self, number: int) -> dict[str, Any]:
        return {
            "eventId": number,
            "subscriptionId": 1,
            "portalId": 62515,
            "appId": 54321,
            "occurredAt": int(datetime.now(UTC).timestamp() * 1000),
            "subscriptionType": "object.propertyChange",
            "objectTypeId": BOOKINGS,
            "objectId": int(self.bookings[number % len(self.bookings)]),
            "propertyName": "is_active",
            "propertyValue": "true",
            "changeSource": "CRM_UI",
        }

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        parts = urlsplit(self.api.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=MAX_WAIT_S)
        with closing(connection):
            connection.request("POST", WEBHOOK_PATH, body, dict(headers))
            return connection.getresponse().status

    def _count_left(self) -> int:
        query = (
            "select (select count(*) from hubspot_sync_webhookevent where state = 'received')"
            " + (select count(*) from booking_api_recountrequest)"
        )
        with closing(sqlite3.connect(self.database, timeout=MAX_WAIT_S)) as database:
            return int(database.execute(query).fetchone()[0])


def measure(*, students: int, bookings: int, requests: int, seconds: float) -> WebhookFigures:
    """Return the measurement before a cache with what so many students' lists are built of."""
    with running_target(students, bookings) as target:
        answered = [target.post_events() for _ in range(5)]
        target.wait_until_applied()
        target.sandbox.clear_calls()
        answered.append(target.post_events())
        target.wait_until_applied()
        calls = target.sandbox.calls_count()
        quiet_ms = read_meanwhile(target, lambda: threading.Event().wait(seconds / 3))[1]
        target.sandbox.clear_calls()
        started_s = time.perf_counter()
        statuses, flooded_ms = read_meanwhile(target, lambda: send_flood(target, requests, seconds))
        flood_s = time.perf_counter() - started_s
        target.wait_until_applied()
        return WebhookFigures(
            # Of each booking its details and its exam; of each student about eight more.
            entries=students * (2 * bookings + 8),
            answered_s=tuple(took_s for _, took_s in answered),
            calls=calls - math.ceil(len(target.bookings) / 100),
            flood_failures=sum(status != 200 for status in statuses),
            flood_s=flood_s,
            applied_s=time.perf_counter() - started_s,
            flood_calls=target.sandbox.calls_count(),
            quiet_ms=statistics.median(quiet_ms),
            flooded_ms=statistics.median(flooded_ms),
        )


def read_meanwhile(target: WebhookTarget, work: Any) -> tuple[Any, list[float]]:
    """Do the work while readers read; return its result and how long each of their reads took."""
    stop = threading.Event()
    with ThreadPoolExecutor(READERS) as pool:
        reading = [pool.submit(target.read_lists, stop) for _ in range(READERS)]
        try:
            result = work()
        finally:
            stop.set()
        return result, [took_ms for reader in reading for took_ms in reader.result()]


def send_flood(target: WebhookTarget, requests: int, seconds: float) -> list[int]:
    """Post so many requests spread over so many seconds, ten at a time; return the statuses."""
    started_s, pause = time.perf_counter(), threading.Event()

    def post(number: int) -> int:
        due_s = started_s + number * seconds / requests
        pause.wait(max(0.0, due_s - time.perf_counter()))
        return target.post_events()[0]

    with ThreadPoolExecutor(MAX_CONCURRENT_REQUESTS) as pool:
        return list(pool.map(post, range(requests)))


@contextmanager
def running_target(students: int, bookings: int) -> Iterator[WebhookTarget]:
    """Start everything and fill the cache; raise DidNotStart."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_sandbox("--rate-limit", "1000000") as sandbox,
    ):
        readers, booking_ids = write_data(PortalData(sandbox), students, bookings)
        environment = server_environment(sandbox.url, Path(folder), Path(folder) / "none") | {
            "HUBSPOT_WEBHOOK_SECRET": SECRET,
            "HUBSPOT_RATE_LIMIT": "1000000",
            "CACHE_MAX_ENTRIES": "200000",
            "CACHE_MAX_BYTES": str(1024**3),
            "CACHE_TTL_BOOKING_DETAILS": "3600",
            "CACHE_TTL_ASSOCIATIONS": "3600",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        with running_api(environment) as api:
            for student in readers:
                fetch(api, f"{LIST_PATH}?{urlencode(student.pair)}")
            yield WebhookTarget(sandbox, api, Path(folder) / "db.sqlite3", booking_ids, readers)


def write_data(data: PortalData, students: int, bookings: int) -> tuple[list[Student], list[str]]:
    """Make the students whose lists fill the cache, and the bookings that events are about; return
    both. Those are of other exams and of a student whose list nobody reads: what readers load again
    is not what the flood costs."""
    filling = [data.add_exam(in_days=1 + number % 90, mock_type="osce") for number in range(100)]
    readers = [data.add_student() for _ in range(students)]
    for student in readers:
        for number in range(bookings):
            data.add_booking(student, filling[number % len(filling)])
    exams = [data.add_exam(in_days=1 + number) for number in range(EXAMS)]
    other = data.add_student()
    booking_ids = [data.add_booking(other, exams[n % EXAMS]) for n in range(EVENTS_PER_REQUEST)]
    data.write()
    return readers, booking_ids
