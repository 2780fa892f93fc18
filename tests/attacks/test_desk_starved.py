"""400 cancellations with wrong pairs from one address, while HubSpot is slow: nobody else waits for
them, and nothing of them is kept."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from tests.builders import Portal
from tests.desk import create_body
from tests.migrated import copy_migrated_file
from tests.server import Answer, Server

WRONG = 400
LIMIT = 30
THREADS = 64
ATTACKER, HOME = "203.0.113.1", "198.51.100.7"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return {
        "DATABASE_URL": copy_migrated_file(tmp_path_factory.mktemp("starved") / "db.sqlite3"),
        "TRUSTED_PROXIES": "127.0.0.1",
        "SERVER_THREADS": str(THREADS),
    }


@pytest.fixture
def slow_hubspot(portal: Portal) -> Iterator[None]:
    """Looking contacts up takes long; all else is as quick as ever."""
    portal.sandbox.fault("delay", path="contacts|0-1", delay_ms=1_000)
    yield
    portal.sandbox.clear_faults()


def journal_rows(environment: Mapping[str, str]) -> int:
    path = environment["DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM booking_api_journalentry").fetchone()
    return int(rows)


@pytest.mark.chaos
def test_who_is_known_is_served_while_the_door_is_hammered(
    server: Server,
    portal: Portal,
    environment: Mapping[str, str],
    slow_hubspot: None,
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    at_home = {"X-Forwarded-For": HOME}
    booked = server.post("/api/bookings/create", create_body(alice, exam), **at_home)
    assert booked.status == 201, booked.body
    record_id = booked.body["data"]["booking_record_id"]
    rows = journal_rows(environment)
    portal.sandbox.clear_calls()

    def guess(number: int) -> Answer:
        email = alice.email if number % 2 == 0 else f"starve{number}@example.org"
        body = json.dumps({"student_id": f"X{number}", "email": email}).encode()
        return server.send(
            "DELETE", f"/api/bookings/{record_id}", body, **{"X-Forwarded-For": ATTACKER}
        )

    with ThreadPoolExecutor(WRONG) as pool:
        guesses: list[Future[Answer]] = [pool.submit(guess, number) for number in range(WRONG)]
        assert server.get("/api/health").status == 200
        body = json.dumps(alice.pair).encode()
        canceled = server.send("DELETE", f"/api/bookings/{record_id}", body, **at_home)
        wait(guesses)

    assert canceled.status == 200, canceled.body
    assert Counter(each.result().status for each in guesses) == {401: LIMIT, 429: WRONG - LIMIT}
    assert journal_rows(environment) == rows + 1
    reads = portal.sandbox.calls("objects.batch_read")
    contacts = [call for call in reads if call["object_type"] == "0-1"]
    assert sum(call["inputs"] for call in contacts) <= LIMIT + 4
