"""Threads that make the desk's calls open no connection to the database: nobody would close it, and
what the desk does under its lease it does in its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db.backends.signals import connection_created

from tests.desk import School, cancel, create, update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


@pytest.fixture
def openers() -> Iterator[set[str]]:
    """The names of the threads that opened a connection."""
    names: set[str] = set()

    def note(**_: object) -> None:
        names.add(threading.current_thread().name)

    connection_created.connect(note)
    yield names
    connection_created.disconnect(note)


def test_no_thread_that_makes_calls_asks_the_database(school: School, openers: set[str]) -> None:
    student, exam = school.portal.student("alice"), school.portal.exam()
    elsewhere = school.portal.booking(school.portal.student("bob"), school.portal.exam())

    for _ in range(3):
        made = create(school.api, student, exam)
        assert made.status == 201
        record_id = made.data["booking_record_id"]
        assert update(school.api, student, record_id, attending_location="Calgary").status == 200
        assert cancel(school.api, student, record_id).status == 200
    assert cancel(school.api, elsewhere.student, elsewhere.id).status == 200

    assert len(openers) > 0
    assert [name for name in openers if name.startswith("fan-out")] == []
