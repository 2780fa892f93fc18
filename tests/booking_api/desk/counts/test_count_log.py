"""What is kept of counts: when an exam was counted last, for whom, what a person asked for."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import OperationalError, connection
from rest_framework.authtoken.models import Token

from booking_api import composition
from booking_api.admin.exams.words import READERS
from booking_api.desk.counts.count_log import AskedCount, begin_record, keep_last_counts
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.models import CountKind, CountRecord, LastCount
from booking_api.desk.counts.recount import DESK
from booking_api.desk.factory import SCHEDULER
from booking_api.management.commands.sync_capacity import WHO
from hubspot_sync.portal.records import MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.builders import Portal
from tests.desk import stored_total
from tests.faults.groups import DeskUnderTest
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

SYNC = "/api/mock-exams/sync-capacity"


def last_count(exam_id: str) -> tuple[str, int | None, int, bool]:
    row = LastCount.objects.get(exam_id=exam_id)
    return row.who, row.stored, row.actual, row.corrected


def asked(exam_id: str = "5000001", reason: str = "") -> AskedCount:
    return AskedCount(
        exam_id=exam_id, who="olga", reason=reason, kind=CountKind.DRY_RUN, token=uuid4()
    )


def test_each_way_of_counting_says_for_whom_it_was(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam(total_bookings=4)
    booking = composition.services().booking

    booking.recount_upcoming()
    assert last_count(exam.id) == ("the scheduler", 4, 0, True)

    booking.recounts.request([exam.id])
    booking.recounts.worker.wake()
    eventually(lambda: last_count(exam.id) == ("the desk", 0, 0, False))

    call_command("sync_capacity", "--exam", exam.id, "--dry-run", "--json")
    assert last_count(exam.id) == ("the command sync_capacity", 0, 0, False)
    record = CountRecord.objects.get()
    assert (record.who, record.kind, record.exam_id) == (
        *("the command sync_capacity", "dry run", exam.id),
    )


def test_a_count_asked_for_by_name_is_on_record_and_the_schedulers_are_not(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam, gone = portal.exam(total_bookings=2), portal.exam()
    portal.archive(gone)
    token = Token.objects.create(user=User.objects.create_user("sam", is_staff=True))
    body = orjson.dumps({"mock_exam_ids": [exam.id, gone.id]})
    staff = {"Authorization": f"Token {token.key}"}

    assert desk.api.send("POST", SYNC, body=body, headers=staff).status == 200
    assert desk.api.send("POST", SYNC, headers=staff).status == 200

    assert [
        (row.who, row.kind, row.exam_id, row.stored, row.actual, row.corrected, row.error)
        for row in CountRecord.objects.order_by("exam_id")
    ] == [
        ("sam", "recount", exam.id, 2, 0, True, ""),
        ("sam", "recount", gone.id, None, None, False, "There is no such mock exam."),
    ]
    assert not LastCount.objects.filter(exam_id=gone.id).exists()


def test_a_count_that_cannot_be_kept_is_made_all_the_same(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=4)

    def refuse(execute: object, sql: str, *_: object) -> object:
        if "lastcount" in sql:
            raise OperationalError("no room")
        return execute(sql, *_)  # type: ignore[operator]

    with connection.execute_wrapper(refuse):
        (count,) = composition.services().booking.recount_upcoming()

    assert count.updated
    assert stored_total(portal, exam) == 0
    assert LastCount.objects.count() == 0


def test_a_slow_count_does_not_hide_a_later_one(desk: DeskUnderTest, portal: Portal) -> None:
    """Two servers count one exam: who began first ends last, and has read what is true no more."""
    exam = portal.exam(total_bookings=4)
    composition.services().booking.recount_upcoming()
    counted_at = LastCount.objects.get().counted_at
    old = ExamCount(exam_id=exam.id, exam=read_exam(exam.id), actual=7)

    keep_last_counts([old], "sam", counted_at - timedelta(seconds=20))
    assert last_count(exam.id) == ("the scheduler", 4, 0, True)

    keep_last_counts([old], "sam", counted_at + timedelta(seconds=20))
    assert LastCount.objects.get().actual == 7


def read_exam(exam_id: str) -> MockExam:
    desk_context = composition.services().booking.desk_context
    context = CallContext(deadline=Deadline.after(30))
    return desk_context.hubspot.exams([exam_id], context).found[exam_id]


def test_no_username_is_taken_for_who_is_no_person() -> None:
    for who in (DESK, SCHEDULER, WHO, READERS):
        with pytest.raises(ValidationError):
            UnicodeUsernameValidator()(who)


def test_a_form_sent_twice_is_one_count(desk: DeskUnderTest) -> None:
    once = asked()
    now = composition.services().booking.desk_context.now()

    assert begin_record(once, now) is not None
    assert begin_record(once, now) is None
    assert CountRecord.objects.count() == 1


def test_what_is_kept_names_nobody_and_goes_with_the_journal(desk: DeskUnderTest) -> None:
    booking = composition.services().booking
    now = booking.desk_context.now()
    long_ago = now - timedelta(days=booking.desk_context.config.retention_days + 1)

    begin_record(asked(reason="alice.moreau@example.org called\x00"), long_ago)
    begin_record(asked(reason="x" * 10_000), now)
    LastCount.objects.create(exam_id="5", counted_at=long_ago, who="desk", actual=1)

    assert {len(row.reason) for row in CountRecord.objects.all()} == {200, len("…@… called\ufffd")}
    booking.prune()
    assert [row.at for row in CountRecord.objects.all()] == [now]
    assert LastCount.objects.count() == 0
