"""On PostgreSQL: what a column or a rule of our database refuses costs one student's answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Exam, Portal, Student
from tests.desk import create_body
from tests.journeys.databases import settings_of
from tests.sandbox import SandboxHandle
from tests.server import Server, serving

pytestmark = pytest.mark.postgres

OTHERS = 8


@pytest.fixture
def portal(kind_sandbox: SandboxHandle) -> Portal:
    return Portal(kind_sandbox, load_profile("default"))


@pytest.fixture
def server(portal: Portal, database_url: str, tmp_path: Path) -> Iterator[Server]:
    environment = {"CACHE_ENABLED": "false", "THROTTLE_WRITES": ""}
    with serving(portal.sandbox, tmp_path, **settings_of(database_url), **environment) as running:
        yield running


def run_sql(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statement)


def book_at_once(server: Server, students: list[Student], exam: Exam) -> list[int]:
    def book(student: Student) -> int:
        return server.post("/api/bookings/create", create_body(student, exam)).status

    with ThreadPoolExecutor(len(students)) as pool:
        return list(pool.map(book, students))


@pytest.mark.chaos
def test_one_student_is_refused_and_all_others_are_served(
    server: Server, portal: Portal, database_url: str
) -> None:
    exam = portal.exam()
    students = [portal.student(f"s{n}", credits=7 if n == 3 else 4) for n in range(OTHERS + 1)]
    table = "booking_api_journalentry"
    run_sql(database_url, f"ALTER TABLE {table} ADD CONSTRAINT no_seven CHECK (credit_before <> 7)")

    statuses = book_at_once(server, students, exam)

    assert statuses == [500 if n == 3 else 201 for n in range(OTHERS + 1)]
    run_sql(database_url, f"ALTER TABLE {table} DROP CONSTRAINT no_seven")
    assert book_at_once(server, [students[3]], exam) == [201]
