"""The change feed with no webhook sent: how soon an edit is seen, how old an answer may be while
many are made, and how soon all is right after an outage. Before the sandbox, whose journal shows an
entry at once, by a server of its own with either kind of cache.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from booking_api.benchmarks.portal_data import BOOKINGS, PortalData, Student
from booking_api.benchmarks.processes import ROOT, Address, Sandbox, running_api, running_sandbox
from booking_api.benchmarks.throughput import LIST_PATH, fetch, server_environment
from cache_layer.config import DEFAULT_TTLS_S
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP, subscribe_in_sandbox

SEED = 5
STUDENTS, BOOKINGS_EACH = 20, 5
SETTLE_S = 2.0
LOOK_EVERY_S = 0.01
MAX_WAIT_S = 30.0
TTL_S = 8.0
"""Of every entry, and of the proof without the feed: longer than any edit may take to be seen, and
shorter than the outage."""
BETWEEN_EDITS_S = 3.6
"""An hour of a thousand edits, on the sandbox's clock: each is an entry of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedFigures:
    """By one kind of cache: seconds until each edit was seen; the oldest answer while edits were
    made, in seconds since it was no longer true; after an outage how many first answers were wrong,
    how long all of them took, and in how many seconds all was read, both from the moment at which
    the server answered; calls that count against the 190 while nobody asked.

    The first answers are calls to HubSpot, for which a process that Redis does not know yet waits:
    that is not the feed's time."""

    cache: str
    seen_after_s: tuple[float, ...]
    edits: int
    oldest_s: float
    wrong_first_answers: int
    first_answers_s: float
    caught_up_s: float
    counted_calls: int

    @property
    def seen_p99_s(self) -> float:
        ordered = sorted(self.seen_after_s)
        return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]


@dataclass(slots=True)
class FeedTarget:
    """A sandbox, whose bookings are edited, and where each was last made to say what."""

    sandbox: Sandbox
    readers: dict[str, Student]
    owners: dict[str, str]
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    edited: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    numbers: int = 0

    def edit(self) -> tuple[str, str]:
        """Give some booking another name; return its id and the name."""
        booking_id, name = self.rng.choice(list(self.owners)), f"Name {self.numbers}"
        self.numbers += 1
        path = f"records/{BOOKINGS}/{booking_id}"
        self.sandbox.control("PATCH", path, {"properties": {"name": name}})
        self.edited.setdefault(booking_id, []).append((time.perf_counter(), name))
        return booking_id, name

    def shown(self, api: Address, student: Student) -> dict[str, str]:
        """Return the names in a student's list by the bookings' ids."""
        query = urlencode({**student.pair, "limit": 50})
        listed = json.loads(fetch(api, f"{LIST_PATH}?{query}"))["data"]["bookings"]
        return {str(each["id"]): each["name"] for each in listed}

    def see(self, api: Address, booking_id: str, name: str) -> float:
        """Return how many seconds it takes until a booking has this name."""
        began_s, pause = time.perf_counter(), threading.Event()
        student = self.readers[self.owners[booking_id]]
        while self.shown(api, student)[booking_id] != name:
            if time.perf_counter() - began_s > MAX_WAIT_S:
                raise RuntimeError("An edit is never seen.")
            pause.wait(LOOK_EVERY_S)
        return time.perf_counter() - began_s

    def oldest(self, asked_s: float, shown: dict[str, str]) -> float:
        """Return for how long the oldest of these names had not been true when it was asked for."""
        oldest_s = 0.0
        for booking_id, name in shown.items():
            later = [
                at_s
                for at_s, other in list(self.edited.get(booking_id, ()))
                if at_s < asked_s and _number(other) > _number(name)
            ]
            if later:
                oldest_s = max(oldest_s, asked_s - min(later))
        return oldest_s


def measure(*, redis_url: str, looks: int, edits: int, seconds: float) -> FeedFigures:
    """Return the figures by the cache in `redis_url`, or of the server's own where it is empty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_sandbox("--rate-limit", "1000000") as sandbox,
    ):
        target = write_data(sandbox)
        subscribe_in_sandbox(sandbox.url, load_profile("default"))
        environment = server_environment(sandbox.url, Path(folder), Path(folder) / "none") | {
            **SANDBOX_APP,
            "DEBUG": "true",
            "REDIS_URL": redis_url,
            "DEPLOYMENT_NAME": Path(folder).name,
            "READY_PROBE_AFTER_S": "3600",
            "FEED_MAX_SILENCE_S": str(TTL_S),
            **dict.fromkeys(DEFAULT_TTLS_S, str(TTL_S)),
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        with running_api(environment) as api:
            warm(target, api)
            counted_calls = count_calls_of_quiet(target)
            seen = tuple(look(target, api) for _ in range(looks))
            oldest_s = edit_and_read(target, api, edits, seconds)
            threading.Event().wait(SETTLE_S)
        ended_s = time.perf_counter()
        for _ in range(edits):
            sandbox.control("POST", "clock", {"advance_s": BETWEEN_EDITS_S})
            target.edit()
        # Entries in Redis outlive the server: an hour is longer than any of them would be served.
        threading.Event().wait(max(TTL_S - (time.perf_counter() - ended_s), 0.0))
        with running_api(environment) as api:
            began_s = time.perf_counter()
            with ThreadPoolExecutor(1) as pool:
                read = pool.submit(wait_until_read, Path(folder) / "db.sqlite3", sandbox)
                wrong = count_wrong(target, api)
                first_answers_s = time.perf_counter() - began_s
                caught_up_s = read.result() - began_s
        return FeedFigures(
            cache="Redis" if redis_url else "in the process",
            seen_after_s=seen,
            edits=edits,
            oldest_s=oldest_s,
            wrong_first_answers=wrong,
            first_answers_s=first_answers_s,
            caught_up_s=caught_up_s,
            counted_calls=counted_calls,
        )


def write_data(sandbox: Sandbox) -> FeedTarget:
    data = PortalData(sandbox)
    exams = [data.add_exam(in_days=2 + number) for number in range(BOOKINGS_EACH)]
    readers = [data.add_student() for _ in range(STUDENTS)]
    owners = {data.add_booking(student, exam): student.id for student in readers for exam in exams}
    data.write()
    return FeedTarget(sandbox, {student.id: student for student in readers}, owners)


def warm(target: FeedTarget, api: Address) -> None:
    for student in target.readers.values():
        target.shown(api, student)
    threading.Event().wait(SETTLE_S)


def count_calls_of_quiet(target: FeedTarget) -> int:
    """Return the calls of a few seconds in which nobody asks, without those of the journal."""
    target.sandbox.clear_calls()
    threading.Event().wait(SETTLE_S)
    calls = target.sandbox.control("GET", "calls?since=0")["calls"]
    return sum(not call["operation"].startswith("journal.") for call in calls)


def look(target: FeedTarget, api: Address) -> float:
    threading.Event().wait(target.rng.random())
    return target.see(api, *target.edit())


def edit_and_read(target: FeedTarget, api: Address, edits: int, seconds: float) -> float:
    """Make so many edits in so many seconds while lists are read; return the age of the oldest
    name that was shown."""
    stop = threading.Event()

    def read() -> float:
        oldest_s = 0.0
        while not stop.is_set():
            for student in target.readers.values():
                asked_s = time.perf_counter()
                oldest_s = max(oldest_s, target.oldest(asked_s, target.shown(api, student)))
        return oldest_s

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            for _ in range(edits):
                target.edit()
                stop.wait(seconds / edits)
        finally:
            stop.set()
        return reading.result()


def count_wrong(target: FeedTarget, api: Address) -> int:
    """Return how many of the first answers show a booking otherwise than it is."""
    shown: dict[str, str] = {}
    for student in target.readers.values():
        shown |= target.shown(api, student)
    return sum(shown[booking_id] != names[-1][1] for booking_id, names in target.edited.items())


def wait_until_read(database: Path, sandbox: Sandbox) -> float:
    """Return when the server had read as far as the journal goes, by `time.perf_counter`."""
    entries = sandbox.control("GET", "journal")["entries"]
    pause = threading.Event()
    query = "select count(distinct event_id) from hubspot_sync_webhookevent"
    for _ in range(int(MAX_WAIT_S / LOOK_EVERY_S)):
        with closing(sqlite3.connect(database, timeout=MAX_WAIT_S)) as connection:
            if connection.execute(query).fetchone()[0] >= entries:
                return time.perf_counter()
        pause.wait(LOOK_EVERY_S)
    raise RuntimeError("The journal is not read to its end.")


def _number(name: str) -> int:
    words = name.split()
    return int(words[-1]) if words[-1].isdigit() and words[0] == "Name" else -1
