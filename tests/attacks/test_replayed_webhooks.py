"""Webhooks recorded and sent again, forged and huge: nothing old is believed, nothing is repeated,
and whoever wants to be forgotten is."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Portal, Student
from tests.desk import create_body
from tests.migrated import copy_migrated_file
from tests.server import Answer, Server
from tests.waiting import eventually
from tests.webhooks import BOOKING_SYNC, SECRET, Events, Raw, signed

LIST = "/api/bookings/list"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the server's database, ready."""
    made: Path = tmp_path_factory.mktemp("replayed")
    copy_migrated_file(made / "db.sqlite3")
    return made


@pytest.fixture(scope="module")
def environment(folder: Path) -> Mapping[str, str]:
    return {
        "HUBSPOT_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        # Only what webhooks drop is loaded again while this file runs.
        "CACHE_TTL_BOOKING_LIST": "600",
        # What is read within the lag of an event is kept for a moment only.
        "HUBSPOT_SEARCH_LAG_S": "0",
    }


@pytest.fixture(autouse=True)
def no_v3_was_seen(server: Server, folder: Path) -> None:
    """Whatever order the tests of this file come in."""
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database, database:
        database.execute("delete from hubspot_sync_seensignature")


@pytest.fixture(scope="module")
def events(portal: Portal) -> Events:
    return Events(portal.profile)


@pytest.fixture(scope="module")
def alice(portal: Portal) -> Student:
    return portal.student("alice")


def v1(body: bytes) -> dict[str, str]:
    made = hashlib.sha256(SECRET.encode() + body).hexdigest()
    return {"X-HubSpot-Signature": made, "X-HubSpot-Signature-Version": "v1"}


def v3(server: Server, body: bytes) -> dict[str, str]:
    return signed(body, f"{server.base_url}{BOOKING_SYNC}")


def send_v1(server: Server, *told: Raw) -> Answer:
    body = json.dumps(told).encode()
    return server.post(BOOKING_SYNC, body, **v1(body))


def send_v3(server: Server, *told: Raw) -> Answer:
    body = json.dumps(told).encode()
    return server.post(BOOKING_SYNC, body, **v3(server, body))


def calls_of_reading(server: Server, student: Student) -> int:
    """How many calls a list costs, as it says itself: others may be made beside it."""
    answer = server.get(LIST, **student.pair)
    assert answer.status == 200
    match = re.search(r'desc="(\d+) calls"', answer.headers["server-timing"])
    assert match is not None
    return int(match[1])


def waiting(folder: Path) -> int:
    """How many stored events are not applied yet, and exams not recounted for them: a count that
    is written drops what shows the exam."""
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database, database:
        (number,) = database.execute(
            "select (select count(*) from hubspot_sync_webhookevent where state = 'received')"
            " + (select count(*) from booking_api_recountrequest)"
        ).fetchone()
    return int(number)


def test_a_delivery_of_2019_is_refused(server: Server, events: Events) -> None:
    answer = send_v1(server, events.changed("9", occurredAt=1_564_113_600_000))

    assert (answer.status, answer.code) == (401, "INVALID_SIGNATURE")


def test_a_recorded_delivery_keeps_no_cache_cold(
    server: Server, folder: Path, portal: Portal, events: Events, alice: Student
) -> None:
    # A count that is right is not written, which would drop what shows the exam.
    booking = portal.booking(alice, portal.exam(total_bookings=1))
    recorded = events.changed(booking.id, "name")
    assert send_v1(server, recorded).body["processed"] == 1
    # The event is applied beside its answer, and may drop what was read before.
    eventually(lambda: waiting(folder) == 0)
    assert calls_of_reading(server, alice) > 0
    eventually(lambda: calls_of_reading(server, alice) == 0)

    answers = [send_v1(server, recorded) for _ in range(50)]

    assert {answer.body["duplicates"] for answer in answers} == {1}
    assert calls_of_reading(server, alice) == 0


def test_after_the_first_v3_nothing_weaker_is_believed(server: Server, events: Events) -> None:
    body = json.dumps([events.changed("9")]).encode()
    forged = v3(server, body) | {"X-HubSpot-Signature-v3": "A" * 44}
    assert server.post(BOOKING_SYNC, body, **forged).status == 401
    assert send_v1(server, events.changed("9")).status == 200

    assert send_v3(server, events.changed("9")).status == 200

    assert send_v1(server, events.changed("9")).status == 401
    assert send_v3(server, events.changed("9")).status == 200


@pytest.mark.chaos
def test_ten_of_the_largest_deliveries_at_once_are_taken(server: Server, events: Events) -> None:
    values = [events.changed("9", propertyValue="x" * 65_536) for _ in range(1_000)]
    bodies = [json.dumps(values[n * 100 : n * 100 + 100]).encode() for n in range(10)]

    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda body: server.post(BOOKING_SYNC, body, **v3(server, body)), bodies)
        )
    # What one address may send at once has a bound; HubSpot sends again what was not taken.
    assert {answer.status for answer in answers} <= {200, 503}
    again = [body for body, answer in zip(bodies, answers, strict=True) if answer.status == 503]
    answers += [server.post(BOOKING_SYNC, body, **v3(server, body)) for body in again]

    taken = [answer.body["processed"] for answer in answers if answer.status == 200]
    assert taken == [100] * 10


def test_whoever_wants_to_be_forgotten_is_named_nowhere(
    server: Server, portal: Portal, events: Events, folder: Path
) -> None:
    # Somebody else than others read: who was forgotten is looked after for a day, after 2 s, 6, 14,
    # 30 and so on, and each time all that shows them and their bookings is dropped: four calls.
    bella, exam = portal.student("bella"), portal.exam(in_days=30)
    created = server.post("/api/bookings/create", create_body(bella, exam))
    assert created.status == 201, created
    booked = created.body["data"]
    canceled = server.send(
        "DELETE",
        f"/api/bookings/{booked['booking_record_id']}",
        json.dumps({**bella.pair, "reason": "Bella is ill"}).encode(),
    )
    assert canceled.status == 200
    send_v3(
        server,
        events.contact("propertyChange", bella.id, propertyName="email", propertyValue=bella.email),
    )
    assert named_in(folder, bella) != set()

    send_v3(server, events.event("contact.privacyDeletion", objectId=int(bella.id)))

    eventually(lambda: named_in(folder, bella) == set())
    assert stored(folder, "select count(*) from booking_api_journalentry") == [(2,)]


def stored(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        return database.execute(query).fetchall()


def named_in(folder: Path, student: Student) -> set[str]:
    """The tables that have the student's e-mail, id or name."""
    tables = stored(folder, "select name from sqlite_master where type = 'table'")
    words = (student.email, student.student_id, student.firstname)
    return {
        table
        for (table,) in tables
        for row in stored(folder, f'select * from "{table}"')  # noqa: S608 - our own tables
        if any(word in str(row) for word in words)
    }
