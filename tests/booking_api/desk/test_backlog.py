"""The desk looks before it reads, and misses nothing by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection

from booking_api import composition
from booking_api.desk.backlog import Backlog, read_backlog
from booking_api.desk.journal import journal
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    RequestKind,
)
from tests.builders import Portal
from tests.desk import create
from tests.faults.groups import DeskUnderTest

NOW = datetime.fromisoformat("2026-03-02T09:00:00.5+00:00")
MOMENTS = (NOW - timedelta(seconds=2), NOW, NOW + timedelta(seconds=2))
LATE_WRITE = timedelta(seconds=120)
LIMIT_S = 40.0
GROUP_READ = f"LIMIT {journal.MAX_WAITING_READ}"

NOTHING = Backlog(waiting=frozenset(), has_given_up=False, has_unfinished=False, has_reviews=False)


def add_row(**fields: Any) -> JournalEntry:
    number = JournalEntry.objects.count() + 1
    usual = {"email": f"{number}@example.org", "arrived_at": NOW, "changed_at": NOW}
    wanted = {"kind": RequestKind.CREATE, "wanted_until": NOW, "contact_id": f"1{number}"}
    key = {"idempotency_key": f"key-{number}"}
    return JournalEntry.objects.create(**{**usual, **wanted, **key, **fields})


def read_all() -> Backlog:
    """What there is by the queries that a desk serves from."""
    groups = {kind: journal.read_next_group([kind], NOW, LATE_WRITE) for kind in RequestKind}
    return Backlog(
        waiting=frozenset(kind for kind, rows in groups.items() if len(rows) > 0),
        has_given_up=journal.refuse_expired(NOW, pytest.fail) > 0,
        has_unfinished=len(journal.read_unfinished(NOW)) > 0,
        has_reviews=CreditReview.objects.filter(next_attempt_at__lte=NOW).exists(),
    )


QUEUED = [
    {"state": EntryState.QUEUED, "kind": kind, "wanted_until": moment}
    for kind, moment in product(RequestKind, MOMENTS)
]
BEGUN = [
    {"state": state, "next_attempt_at": moment}
    for state, moment in product(set(EntryState) - {EntryState.QUEUED}, (None, *MOMENTS))
]


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [QUEUED, BEGUN], ids=["waiting", "begun"])
def test_a_look_finds_whatever_a_read_would_find(rows: list[dict[str, Any]]) -> None:
    for fields in rows:
        row = add_row(**fields)

        assert read_backlog(NOW) == read_all(), fields
        assert read_backlog(NOW, left_out=[row.id]) == NOTHING, fields
        row.delete()


@pytest.mark.django_db
def test_what_is_due_is_found_among_what_is_not() -> None:
    for moment in MOMENTS:
        for kind in (RequestKind.CREATE, RequestKind.CANCEL):
            add_row(state=EntryState.QUEUED, kind=kind, wanted_until=moment)
        add_row(state=EntryState.OWING, next_attempt_at=moment)
        CreditReview.objects.create(
            subject_id=str(moment.timestamp()), asked_at=NOW, next_attempt_at=moment
        )

    assert read_backlog(NOW) == read_all()
    assert read_backlog(NOW - timedelta(seconds=3)) == Backlog(
        waiting=frozenset({RequestKind.CREATE, RequestKind.CANCEL}),
        has_given_up=False,
        has_unfinished=False,
        has_reviews=False,
    )


@contextmanager
def statements_of_the_desk() -> Iterator[list[str]]:
    """What the desk's thread asks the database inside the block."""
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    desk = composition.services().booking.desk
    desk.run(lambda _: connection.execute_wrappers.append(note)).result(LIMIT_S)
    yield asked
    desk.run(lambda _: connection.execute_wrappers.remove(note)).result(LIMIT_S)


@pytest.mark.django_db(transaction=True)
def test_a_lone_booking_has_one_group_read(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()

    with statements_of_the_desk() as asked:
        assert create(desk.api, alice, exam).status == 201

    assert len([sql for sql in asked if GROUP_READ in sql]) == 1
