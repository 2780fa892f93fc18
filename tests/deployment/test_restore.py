"""The database put back from a backup that is older than the last bookings, as docs/operations.md
has it: what HubSpot has stays true, whatever the journal no longer knows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from redis import Redis

from tests.builders import Exam, Portal, Student
from tests.deployment.own_nginx import NAME
from tests.deployment.places import Place, environment_behind_nginx
from tests.deployment.promises import require
from tests.desk import create_body, credit_of
from tests.faults.world import Holdings, broken_promises, seats
from tests.journeys.conftest import made_database, url_of
from tests.journeys.databases import manage, query
from tests.manage import ROOT
from tests.server import Answer
from tests.waiting import eventually

PROMISE = "POSTGRES_PROMISED"
CREDIT_WRITES = "/0-1/batch/update"
UNFINISHED = "select count(*) from booking_api_journalentry where state not in ('done', 'refused')"

pytestmark = [pytest.mark.chaos, pytest.mark.postgres, pytest.mark.timeout(300)]


def back_up(database_url: str, folder: Path) -> Path:
    """Back up by what the timer runs; return the dump."""
    for program in ("pg_dump", "pg_restore"):
        require(program, PROMISE)
    address = folder / "address"
    address.write_text(database_url + "\n")
    command = [sys.executable, "deploy/backup.py", str(address), str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (dump,) = folder.glob("booking-*.dump")
    return dump


@contextmanager
def restored(connection: psycopg.Connection, dump: Path) -> Iterator[str]:
    """A database that was made of the dump; yields its address."""
    with made_database(connection, "restored") as name:
        url = url_of(name)
        command = ["pg_restore", "--exit-on-error", "--single-transaction", "--no-owner"]
        address = urlsplit(url)._replace(scheme="postgresql").geturl()
        subprocess.run([*command, "--dbname", address, str(dump)], check=True, capture_output=True)
        yield url


@dataclass(slots=True)
class School:
    portal: Portal
    place: Place

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Have the server run in the block; at its end it is killed, as the disaster would."""
        self.place.start()
        try:
            yield
        finally:
            self.place.kill()

    def book(self, student: Student, exam: Exam, key: str = "") -> Answer:
        more = {"Host": NAME, **({"Idempotency-Key": key} if key else {})}
        return self.place.server.post("/api/bookings/create", create_body(student, exam), **more)

    def cancel(self, student: Student, booking_id: str) -> Answer:
        query_ = f"student_id={student.student_id}&email={student.email}"
        target = f"/api/bookings/{booking_id}?{query_}"
        return self.place.server.send("DELETE", target, Host=NAME)

    def credits(self, *students: Student) -> list[int]:
        return [credit_of(self.portal, student) for student in students]


def environment(portal: Portal, database_url: str, redis_url: str) -> dict[str, str]:
    short = {"REQUEST_DEADLINE_S": "4", "HUBSPOT_READ_TIMEOUT_S": "2", "HUBSPOT_LATE_WRITE_S": "2"}
    return environment_behind_nginx(portal.sandbox, database_url, redis_url, **short)


def booked(answer: Answer) -> str:
    assert answer.status == 201, answer.body
    record_id: str = answer.body["data"]["booking_record_id"]
    return record_id


def test_bookings_that_the_backup_does_not_know_stand_and_are_paid_once(
    portal: Portal,
    postgres: psycopg.Connection,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    names = ("alice", "charlie", "dana", "erin", "finn")
    alice, charlie, dana, erin, finn = (portal.student(name, credits=3) for name in names)
    everybody = (alice, charlie, dana, erin, finn)
    small, large, other = (portal.exam(in_days=day, capacity=2) for day in (7, 9, 11))
    owned = Holdings.of(portal, everybody)
    told = environment(portal, database_url, redis_url)
    school = School(portal, Place(told, tmp_path / "1.log"))
    with school.serving():
        first = booked(school.book(alice, small, "before"))
        # Two whose seats are sold when the backup is made, and their credits are charged later.
        portal.sandbox.fault("cut_before", path=CREDIT_WRITES)
        assert [school.book(student, large).status for student in (charlie, dana)] == [503, 503]
        dump = back_up(database_url, tmp_path)
        portal.sandbox.clear_faults()

        eventually(lambda: query(database_url, UNFINISHED) == [(0,)])
        booked(school.book(erin, small))
        (unfinished,) = [seat.record_id for seat in seats(portal) if seat.contact_id == dana.id]
        assert school.cancel(dana, unfinished).status == 200
        booked(school.book(dana, other, "since"))
        assert school.cancel(alice, first).status == 200
        last = booked(school.book(finn, small))
    before = school.credits(*everybody), seats(portal)

    with restored(postgres, dump) as url:
        assert query(url, UNFINISHED) > [(0,)]
        told = environment(portal, url, redis_url)
        with Redis.from_url(redis_url) as cache:
            cache.flushall()
        said = manage(url, "finish_bookings", "--wait", "60", **told)
        assert query(url, UNFINISHED) == [(0,)], said
        manage(url, "sync_capacity", **told)
        assert (school.credits(*everybody), seats(portal)) == before
        assert broken_promises(portal, (small, large, other), everybody, owned) == []

        school.place = Place(told, tmp_path / "2.log")
        with school.serving():
            # Full is full, whoever sold the seats.
            assert school.book(charlie, small).code == "EXAM_FULL"
            # Who repeats what the journal has lost books nothing twice.
            again = school.book(dana, other, "since")
            assert (again.status, again.code) == (400, "DUPLICATE_BOOKING")
            # Who cancels what it has lost gets the credit back.
            assert school.cancel(finn, last).status == 200
            booked(school.book(charlie, small))
        assert broken_promises(portal, (small, large, other), everybody, owned) == []
