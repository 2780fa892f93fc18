"""Who was here lately: only students who proved to be one, and nobody who is to be forgotten."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from booking_api import composition
from booking_api.desk.journal.erasure import Person
from booking_api.desk.journal.models import JournalEntry
from booking_api.pairs import seen_students as module
from booking_api.pairs.models import SeenStudent
from booking_api.pairs.seen_students import SeenStudents
from tests.api import Api
from tests.builders import Portal
from tests.desk import cancel, create

pytestmark = pytest.mark.django_db(transaction=True)

LIST, CREDITS = "/api/bookings/list", "/api/mock-exams/validate-credits"
NOON = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Days:
    """Students noted by one process, in days that pass when told to."""

    now: datetime = NOON
    seen: SeenStudents = field(init=False)

    def __post_init__(self) -> None:
        self.seen = SeenStudents(14, lambda: self.now)

    def come(self, *contact_ids: str) -> None:
        for contact_id in contact_ids:
            self.seen.note(contact_id)
        self.seen.write_noted()


@pytest.fixture
def days() -> Days:
    return Days()


def rows() -> set[str]:
    return {*SeenStudent.objects.values_list("contact_id", flat=True)}


@pytest.fixture
def written(api: Api) -> SeenStudents:
    return composition.services().seen


def test_students_who_proved_to_be_one_are_noted_and_nobody_else(
    api: Api, portal: Portal, written: SeenStudents
) -> None:
    alice, bob, charlie = (portal.student(name) for name in ("alice", "bob", "charlie"))
    api.get(LIST, **alice.pair)
    api.post(CREDITS, **bob.pair, mock_type="clinical")
    # Guesses: nobody's e-mail, somebody's with another's id, and half a pair.
    api.get(LIST, student_id="S77", email="nobody@example.org")
    api.get(LIST, student_id=alice.student_id, email=charlie.email)
    api.get(LIST, student_id=charlie.student_id)
    api.get("/api/bookings/1", student_id="S1", email=charlie.email)

    written.write_noted()

    assert rows() == {alice.id, bob.id}


def test_a_request_writes_nothing_and_a_day_is_written_once(
    days: Days, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        for number in range(300):
            days.seen.note(str(number % 3))
    days.seen.write_noted()
    assert rows() == {"0", "1", "2"}

    days.seen.note("1")
    with django_assert_num_queries(1):  # what is too old
        days.seen.write_noted()


def test_those_seen_last_come_first_and_the_old_are_gone(days: Days) -> None:
    days.come("1", "2")
    days.now += timedelta(days=10)
    days.come("2", "3")

    assert days.seen.seen_lately(14, 10) == ["2", "3", "1"]
    assert days.seen.seen_lately(14, 2) == ["2", "3"]
    assert days.seen.seen_lately(5, 10) == ["2", "3"]
    days.now += timedelta(days=5)
    days.come()
    assert rows() == {"2", "3"}


def test_what_could_not_be_written_is_written_later(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(SeenStudent.objects, "bulk_create", away)
        with pytest.raises(OperationalError):
            days.come("1")
    days.come("2")

    assert rows() == {"1", "2"}


def test_memory_and_table_are_bounded(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    monkeypatch.setattr(module, "MAX_UNWRITTEN", 2)
    days.come("1", "2", "3")
    assert rows() == {"1", "2"}

    days.come("4", "5")
    assert len(rows()) == 3


@pytest.mark.parametrize("days", [1_000_000, 10**10])
def test_more_days_than_there_ever_were_are_all_days(days: int) -> None:
    seen = SeenStudents(days, lambda: NOON)
    seen.note("1")
    seen.write_noted()

    assert seen.seen_lately(days, 10) == ["1"]


def test_when_the_table_is_full_those_in_it_stay_while_they_come(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    days.come("5", "6")
    days.now += timedelta(days=10)
    days.come("1", "5", "6")
    days.now += timedelta(days=10)
    days.come()

    assert rows() == {"5", "6"}


def test_with_no_days_nobody_is_noted(settings: Settings) -> None:
    seen = SeenStudents(0, lambda: NOON)
    seen.note("1")
    seen.write_noted()

    assert rows() == set()


@pytest.mark.parametrize("is_written", [True, False])
def test_who_is_forgotten_is_not_remembered_here(
    api: Api, portal: Portal, written: SeenStudents, is_written: bool
) -> None:
    alice, bob = portal.student("alice"), portal.student("bob")
    for student in (alice, bob):
        api.get(LIST, **student.pair)
    if is_written:
        written.write_noted()

    composition.services().booking.erasures.erase(Person(contact_ids=frozenset({alice.id})))
    written.write_noted()

    assert rows() == {bob.id}


def test_at_first_those_who_booked_lately_are_known(api: Api, portal: Portal) -> None:
    alice, bob, charlie = (portal.student(name, credits=3) for name in ("alice", "bob", "charlie"))
    for student in (alice, bob, charlie):
        booked = create(api, student, portal.exam())
        cancel(api, student, booked.data["booking_record_id"])
    JournalEntry.objects.filter(contact_id=bob.id).update(
        arrived_at=timezone.now() - timedelta(days=20)
    )
    JournalEntry.objects.filter(contact_id=charlie.id).update(email="")
    SeenStudent.objects.all().delete()

    migration = importlib.import_module("booking_api.migrations.0012_seen_students")
    with connection.schema_editor() as editor:
        migration.take_over_from_journal(apps, editor)

    assert rows() == {alice.id}
