"""Whatever a person types into HubSpot costs at most the record it stands in: numbers, truth values
and times as callers see them, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import JournalEntry, RecountRequest
from tests.api import Api
from tests.builders import Exam, Portal, Student
from tests.desk import active_bookings, cancel, create
from tests.faults.groups import running_desk
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"
LIST = "/api/bookings/list"
SYNC = "/api/mock-exams/sync-capacity"
SECRET = "a-secret-for-the-tests-of-values"
CREDIT = "credits_clinical"


@pytest.fixture(autouse=True)
def cron_secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


def rich_in(portal: Portal, balance: str, name: str = "alice") -> Student:
    """A student whose clinical credits are this text."""
    return portal.student(name, credits={CREDIT: balance})  # type: ignore[dict-item]


def balance_of(portal: Portal, student: Student) -> str | None:
    record = portal.sandbox.record(portal.profile.object_types.contacts, student.id)
    stored: str | None = record["properties"][CREDIT]
    return stored


def total_of(portal: Portal, exam: Exam) -> str | None:
    record = portal.sandbox.record(portal.profile.object_types.mock_exams, exam.id)
    stored: str | None = record["properties"]["total_bookings"]
    return stored


def sync(api: Api, exam: Exam, **more: object) -> Any:
    body = orjson.dumps({"mock_exam_ids": [exam.id], **more})
    return api.send("POST", SYNC, body=body, headers={"Authorization": f"Bearer {SECRET}"}).data


# Credits ------------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("balance", "charged", "whole"),
    [
        *(("2.5", "1.5", 2), ("1.9", "0.9", 1), ("3.0", "2", 3), (" 7 ", "6", 7)),
        *(("4165550123", "4165550122", 4165550123), ("2147483648", "2147483647", 2147483648)),
        ("999999999999999", "999999999999998", 999999999999999),
    ],
)
def test_a_balance_is_charged_and_given_back_exactly(
    api: Api, portal: Portal, balance: str, charged: str, whole: int
) -> None:
    alice, exam = rich_in(portal, balance), portal.exam()

    booked = create(api, alice, exam).data
    assert balance_of(portal, alice) == charged
    assert booked["credit_details"]["remaining_credits"] == whole - 1
    assert api.get(LIST, **alice.pair).data["credits"][CREDIT] == whole - 1

    restored = cancel(api, alice, booked["booking_record_id"]).data["credit_restoration"]
    assert restored["new_balance"] == whole
    assert Decimal(balance_of(portal, alice) or "") == Decimal(balance)
    for row in JournalEntry.objects.all():
        assert isinstance(row.credit_before, Decimal)
        assert {row.credit_before, row.credit_after} == {Decimal(balance), Decimal(charged)}


@pytest.mark.parametrize("balance", ["1e30", "99999999999999999999", "1,000", "many", "NaN", "0.9"])
def test_a_balance_without_a_readable_whole_credit_books_nothing_and_stays(
    api: Api, portal: Portal, balance: str
) -> None:
    alice, exam = rich_in(portal, balance), portal.exam()

    refused = create(api, alice, exam)
    listed = api.get(LIST, **alice.pair)
    checked = api.post("/api/mock-exams/validate-credits", **alice.pair, mock_type="clinical")

    assert (refused.status, refused.code) == (400, "INSUFFICIENT_CREDITS")
    assert listed.data["credits"][CREDIT] == 0
    assert (checked.data["eligible"], checked.data["available_credits"]) == (False, 0)
    assert (balance_of(portal, alice), active_bookings(portal, exam)) == (balance, [])


@pytest.mark.parametrize("balance", ["1e30", "many", "999999999999999"])
def test_a_cancel_that_could_not_give_its_credit_back_is_refused_before_anything_is_written(
    api: Api, portal: Portal, balance: str
) -> None:
    alice, exam = portal.student("alice", credits=5), portal.exam()
    booked = create(api, alice, exam).data["booking_record_id"]
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, **{CREDIT: balance})

    refused = cancel(api, alice, booked)

    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
    assert CREDIT in str(refused.body)
    assert (balance_of(portal, alice), len(active_bookings(portal, exam))) == (balance, 1)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, **{CREDIT: "4"})
    assert cancel(api, alice, booked).status == 200
    assert balance_of(portal, alice) == "5"


def test_a_charge_that_is_left_waits_for_a_readable_balance_and_holds_up_nobody(
    portal: Portal, settings: Settings
) -> None:
    alice, bob, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    contacts = portal.profile.object_types.contacts
    with running_desk(settings, portal.sandbox, DeskConfig(late_write_s=0)) as desk:
        portal.sandbox.fault("status", status=503, path="/0-1/batch/update")
        unknown = desk.outlast_turn(partial(create, desk.api, alice, exam))
        assert unknown.code == "HUBSPOT_UNAVAILABLE"
        portal.sandbox.edit(contacts, alice.id, **{CREDIT: "call me"})
        portal.sandbox.clear_faults()

        assert create(desk.api, bob, exam).status == 201
        eventually(lambda: look_again(alice) or CREDIT in row_of(alice).last_error)
        assert balance_of(portal, alice) == "call me"

        portal.sandbox.edit(contacts, alice.id, **{CREDIT: "5"})
        eventually(lambda: look_again(alice) or row_of(alice).state == "done")
    assert balance_of(portal, alice) == "4"


def look_again(student: Student) -> None:
    """Have the desk look now: it may have put the row off after an earlier look."""
    JournalEntry.objects.filter(email=student.email).update(next_attempt_at=None)
    composition.services().booking.desk.wake()


def row_of(student: Student) -> JournalEntry:
    return JournalEntry.objects.get(email=student.email)


# Seats --------------------------------------------------------------------------------------------


@pytest.mark.sampled
@pytest.mark.parametrize("capacity", ["99999999999999999999", "1e30", "lots", "-4", "NaN"])
def test_an_exam_without_a_readable_capacity_has_no_seats_and_is_listed_full(
    api: Api, portal: Portal, capacity: str
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booked = create(api, alice, exam).data["booking_record_id"]
    edit_exam(portal, exam, capacity=capacity)

    (row,) = api.get(AVAILABLE, mock_type="clinical").data
    refused = create(api, portal.student("charlie"), exam)

    assert (row["capacity"], row["available_slots"], row["status"]) == (0, 0, "full")
    assert (refused.status, refused.code) == (400, "EXAM_FULL")
    assert api.get(LIST, **alice.pair).data["bookings"][0]["id"] == booked
    assert cancel(api, alice, booked).status == 200


@pytest.mark.parametrize("total", ["99999999999999999999", "1e30", "garbage", "2.5"])
def test_an_exam_whose_stored_count_is_unreadable_is_counted_alone_and_corrected(
    api: Api, portal: Portal, settings: Settings, total: str
) -> None:
    settings.CORRECT_COUNTS = True
    exam, _ = portal.exam_with_bookings(3, capacity=6)
    other = portal.exam(in_days=9, capacity=6, total_bookings=2)
    edit_exam(portal, exam, total_bookings=total)

    shown = api.get(AVAILABLE, mock_type="clinical").data

    assert [(row["mock_exam_id"], row["available_slots"]) for row in shown] == [
        (exam.id, 3),
        (other.id, 4),
    ]
    eventually(lambda: total_of(portal, exam) == "3")
    assert total_of(portal, other) == "2"


def test_a_correction_that_hubspot_refuses_is_not_hurried_by_whoever_looks(
    api: Api, portal: Portal, settings: Settings
) -> None:
    settings.CORRECT_COUNTS = True
    exam, now = portal.exam(total_bookings=0), timezone.now()
    edit_exam(portal, exam, total_bookings="garbage")
    later = now + timedelta(minutes=5)
    RecountRequest.objects.create(
        subject_id=exam.id, asked_at=now, next_attempt_at=later, attempts=9
    )

    api.get(AVAILABLE, mock_type="clinical")

    assert RecountRequest.objects.get().next_attempt_at == later


@pytest.mark.parametrize("total", ["-5", "-5.0"])
def test_a_count_below_zero_offers_no_more_seats_than_there_are(
    api: Api, portal: Portal, settings: Settings, total: str
) -> None:
    settings.CORRECT_COUNTS = True
    exam = portal.exam(capacity=6)
    edit_exam(portal, exam, total_bookings=total)

    (row,) = api.get(AVAILABLE, mock_type="clinical").data

    assert (row["total_bookings"], row["available_slots"]) == (0, 6)
    eventually(lambda: total_of(portal, exam) == "0")


def test_an_exam_that_cannot_be_counted_is_listed_full_and_hides_no_other(
    api: Api, portal: Portal, settings: Settings
) -> None:
    settings.CORRECT_COUNTS = False
    exam, other = portal.exam(total_bookings=0), portal.exam(in_days=9)
    edit_exam(portal, exam, total_bookings="garbage")
    portal.sandbox.fault("status", status=400, path="associations/.*batch/read")

    shown = api.get(AVAILABLE, mock_type="clinical").data

    assert [(row["mock_exam_id"], row["status"]) for row in shown] == [
        (exam.id, "full"),
        (other.id, "available"),
    ]


@pytest.mark.parametrize(("total", "previous"), [("-5", -5), ("garbage", 0), ("1e30", 0)])
def test_a_recount_compares_with_the_stored_count_as_it_is(
    api: Api, portal: Portal, total: str, previous: int
) -> None:
    exam = portal.exam(capacity=6)
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, total_bookings=total)

    (would,) = sync(api, exam, dry_run=True)["results"]["wouldUpdate"]
    (done,) = sync(api, exam)["results"]["updated"]

    for row in (would, done):
        assert (row["previousCount"], row["actualCount"], row["needsUpdate"]) == (previous, 0, True)
    assert total_of(portal, exam) == "0"
    assert not RecountRequest.objects.exists()


def edit_exam(portal: Portal, exam: Exam, **properties: str) -> None:
    """Edit an exam that nobody has read yet."""
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, **properties)


# Truth values and times ---------------------------------------------------------------------------


@pytest.mark.sampled
@pytest.mark.parametrize("word", ["true", "True", "yes", "YES", "1"])
def test_an_exam_is_open_however_its_portal_says_yes(api: Api, portal: Portal, word: str) -> None:
    exam = portal.exam()
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, is_active=word)

    (row,) = api.get(AVAILABLE, mock_type="clinical").data

    assert (row["mock_exam_id"], row["is_active"]) == (exam.id, True)
    assert create(api, portal.student("alice"), exam).status == 201


@pytest.mark.parametrize("word", ["false", "False", "no", "0", "", "perhaps"])
def test_an_exam_is_closed_however_its_portal_says_no(api: Api, portal: Portal, word: str) -> None:
    exam = portal.exam()
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, is_active=word)

    assert api.get(AVAILABLE, mock_type="clinical").data == []
    assert create(api, portal.student("alice"), exam).code == "EXAM_NOT_ACTIVE"


@pytest.fixture
def late_evening(portal: Portal) -> Iterator[datetime]:
    """23:45 in London, on the portal's today."""
    at = datetime.combine(portal.today, time(23, 45), tzinfo=portal.profile.time_zone)
    with time_machine.travel(at.astimezone(UTC), tick=True):
        yield at


@pytest.mark.parametrize("end", ["01:30", "00:00", "12:00 am"])
def test_an_exam_that_ends_after_midnight_is_not_over_before_it_begins(
    api: Api, portal: Portal, late_evening: datetime, end: str
) -> None:
    alice, exam = portal.student("alice"), portal.exam(in_days=0, start_time="23:30", end_time=end)

    booked = create(api, alice, exam)

    assert booked.status == 201, booked.body
    (listed,) = api.get(LIST, **alice.pair).data["bookings"]
    assert listed["status"] == "scheduled"
    (row,) = api.get(AVAILABLE, mock_type="clinical").data
    assert (row["mock_exam_id"], row["end_time"]) == (exam.id, end)
    assert cancel(api, alice, booked.data["booking_record_id"]).status == 200


def test_the_exam_of_last_night_is_over_when_its_end_has_come(api: Api, portal: Portal) -> None:
    exam = portal.exam(in_days=0, start_time="23:30", end_time="01:30")
    midnight = datetime.combine(portal.today, time(23, 59), tzinfo=portal.profile.time_zone)

    with time_machine.travel(midnight.astimezone(UTC)) as clock:
        clock.shift(91 * 60)  # to 01:30 of the next day
        assert create(api, portal.student("alice"), exam).code == "EXAM_NOT_ACTIVE"


def test_a_note_is_short_whatever_the_booking_is_called(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(), booking_id="x" * 65_536)

    reply = cancel(api, alice, booking.id)

    assert reply.data["booking_id"] == "x" * 65_536
    notes = portal.profile.object_types.notes
    eventually(lambda: len(portal.sandbox.records(notes)) == 1)
    (note,) = portal.sandbox.records(notes)
    assert len(note["properties"]["hs_note_body"]) < 2_000
