"""HubSpot's changes reach a serving API: out of order, more than once, some never."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cache_layer.config import DEFAULT_TTLS_S
from tests.builders import Booking, Exam, Portal, Student
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle
from tests.server import Server, serving
from tests.webhooks import BOOKING_SYNC, SECRET

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
PATIENCE_S = 60.0
CRON = "a secret for the cron of this test"
SHORT_LIVES = dict.fromkeys(DEFAULT_TTLS_S, "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a database that is ready."""
    made: Path = tmp_path_factory.mktemp("webhooks")
    copy_migrated_file(made / "db.sqlite3")
    return made


@contextmanager
def told(sandbox: SandboxHandle, folder: Path, **environment: str) -> Iterator[Server]:
    """A serving API whose HubSpot tells it of every change."""
    with serving(sandbox, folder, HUBSPOT_WEBHOOK_SECRET=SECRET, **environment) as api:
        sandbox.configure(webhook={"url": f"{api.base_url}{BOOKING_SYNC}", "secret": SECRET})
        yield api
        sandbox.configure(webhook={"url": ""})


def wait_until(holds: Callable[[], bool]) -> bool:
    """Return whether it held before patience ran out."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.1) for _ in range(int(PATIENCE_S * 10)))


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        return database.execute(query).fetchall()


def nothing_waits(sandbox: SandboxHandle, folder: Path) -> bool:
    """Neither on its way, nor in the inbox, nor a count to be corrected."""
    waiting = (
        "select 1 from hubspot_sync_webhookevent where state = 'received'"
        " union all select 1 from booking_api_recountrequest"
    )
    # Twice, because what was under way when the one was looked at has reached the other meanwhile.
    return all(rows(folder, waiting) == [] and sandbox.webhooks()["pending"] == 0 for _ in range(2))


@pytest.mark.timeout(90)
def test_an_edit_in_hubspot_is_seen_by_the_next_readers(portal: Portal, folder: Path) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    with told(portal.sandbox, folder) as api:
        assert api.get(LIST, **alice.pair).body["data"]["bookings"][0]["name"] == alice.name

        portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")

        # Without the webhook the list would stay as it is for two minutes.
        assert wait_until(
            lambda: api.get(LIST, **alice.pair).body["data"]["bookings"][0]["name"] == "Alice M."
        )
        assert wait_until(lambda: nothing_waits(portal.sandbox, folder))


@dataclass(frozen=True, slots=True)
class School:
    """Forty exams, the students in them, and a person in HubSpot who changes things."""

    portal: Portal
    students: list[Student]
    exams: list[Exam]
    bookings: list[Booking]

    def change_something(self, chance: random.Random) -> None:
        """One edit, of the kinds that webhooks tell of."""
        sandbox, types = self.portal.sandbox, self.portal.profile.object_types
        booking, exam = chance.choice(self.bookings), chance.choice(self.exams)
        student = chance.choice(self.students)
        kind = chance.randrange(6)
        if kind == 0:
            sandbox.edit(types.contacts, student.id, credits_osce=str(chance.randrange(9)))
        elif kind == 1:
            sandbox.edit(types.mock_exams, exam.id, location=f"Room {chance.randrange(99)}")
        elif kind == 2:
            state = chance.choice(["true", "false"])
            sandbox.edit(types.bookings, booking.id, is_active=state)
        elif kind == 3:
            sandbox.archive(types.bookings, booking.id)
            sandbox.restore(types.bookings, booking.id)
        elif kind == 4:
            sandbox.create(
                types.bookings,
                {"name": "New", "is_active": "true", "booking_id": f"B{chance.random()}"},
                [(types.contacts, student.id), (types.mock_exams, exam.id)],
            )
        else:
            sandbox.edit(types.bookings, booking.id, name=f"Name {chance.randrange(99)}")


@pytest.fixture
def school(portal: Portal) -> School:
    with portal.at_once():
        students = [portal.student(f"student{number}") for number in range(20)]
        exams = [portal.exam(in_days=1 + number) for number in range(40)]
        bookings = [
            portal.booking(students[turn % 20], exams[(turn * 7) % 40]) for turn in range(120)
        ]
    return School(portal, students, exams, bookings)


def answers(api: Server, school: School) -> list[Any]:
    """What readers are told, all of it."""
    lists = [api.get(LIST, limit=100, **student.pair) for student in school.students]
    exams = [
        api.get(AVAILABLE, mock_type="clinical", realtime=realtime)
        for realtime in ("false", "true")
    ]
    assert {answer.status for answer in (*lists, *exams)} == {200}
    return [answer.body["data"] for answer in (*lists, *exams)]


def counts_of(exams: list[dict[str, Any]]) -> dict[str, int]:
    return {exam["mock_exam_id"]: exam["total_bookings"] for exam in exams}


@contextmanager
def readers(api: Server, school: School) -> Iterator[set[int]]:
    """Three readers who never rest, and the statuses they were answered with."""
    statuses: set[int] = set()
    rest = threading.Event()

    def read(seed: int) -> None:
        chance = random.Random(seed)
        while not rest.is_set():
            statuses.add(api.get(LIST, **chance.choice(school.students).pair).status)
            statuses.add(api.get(AVAILABLE, mock_type="clinical", realtime="true").status)

    threads = [threading.Thread(target=read, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    yield statuses
    rest.set()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("lost", "deliveries"),
    [
        pytest.param(0.0, 300, id="a hundred, none lost"),
        pytest.param(0.0, 1_500, id="five hundred, none lost"),
        pytest.param(0.05, 1_500, id="five hundred, some lost"),
    ],
)
@pytest.mark.chaos
def test_after_many_events_in_disorder_every_answer_is_hubspots(
    lost: float, deliveries: int, school: School, folder: Path, server: Server
) -> None:
    """And every count is right. As soon as all are applied; what was lost is made good by the times
    to live, which are short then, and by one recount. `server` has no cache: it says what HubSpot
    says."""
    sandbox, chance = school.portal.sandbox, random.Random(5)
    lives = SHORT_LIVES if lost > 0 else {}
    before = len(rows(folder, "select 1 from hubspot_sync_webhookevent"))
    with told(sandbox, folder, HUBSPOT_RATE_LIMIT="100000", CRON_SECRET=CRON, **lives) as api:
        sandbox.configure(
            rate_limit=100_000,
            search_rate=1_000,
            webhook={"duplicate": 2.0, "reorder": True, "lose": lost},
        )
        answers(api, school)
        with readers(api, school) as statuses:
            while sandbox.webhooks()["pending"] + sandbox.webhooks()["delivered"] < deliveries:
                school.change_something(chance)
            assert wait_until(lambda: nothing_waits(sandbox, folder))
        if lost > 0:
            sync = api.post("/api/mock-exams/sync-capacity", {}, Authorization=f"Bearer {CRON}")
            assert sync.body["data"]["summary"]["failed"] == 0
            # Its corrections are changes too, and some of these are lost as well.
        truth = answers(server, school)
        assert counts_of(truth[-1]) == counts_of(truth[-2])
        assert answers(api, school) == truth or (
            lost > 0 and wait_until(lambda: answers(api, school) == truth)
        )

    assert statuses == {200}
    counts = sandbox.webhooks()
    assert (counts["failed"], counts["lost"] > 0) == (0, lost > 0)
    # Each event that was not lost came three times and is kept once.
    kept = rows(folder, "select state from hubspot_sync_webhookevent")
    assert set(kept) == {("applied",)}
    assert 3 * (len(kept) - before) == counts["delivered"]
