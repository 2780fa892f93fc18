"""Counts: from the bookings, from complete reads alone, and never over a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.counts.exam_count import ExamCount
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline
from tests.builders import Exam, Portal
from tests.desk import create, stored_total
from tests.faults.groups import DeskUnderTest, running_desk

pytestmark = pytest.mark.django_db(transaction=True)

READ_BOOKINGS = "/2-50158943/batch/read"
LIMIT_S = 40.0


def recount(*exams: Exam, dry_run: bool = False) -> Sequence[ExamCount]:
    context = CallContext(deadline=Deadline.after(LIMIT_S), priority=Priority.BACKGROUND)
    ids = [exam.id for exam in exams]
    return composition.services().booking.recount.recount(ids, context, dry_run=dry_run)


def test_many_bookings_few_and_none_are_counted(desk: DeskUnderTest, portal: Portal) -> None:
    """More than HubSpot lists on one page, and more than one call reads."""
    full, _ = portal.exam_with_bookings(620)
    portal.sandbox.edit(portal.profile.object_types.mock_exams, full.id, total_bookings="500")
    empty, right = portal.exam(total_bookings=7), portal.exam(total_bookings=1)
    portal.booking(portal.student("alice"), right)

    counts = recount(full, empty, right)

    assert [(one.actual, one.updated, one.error) for one in counts] == [
        (620, True, ""),
        (0, True, ""),
        (1, False, ""),
    ]
    assert [stored_total(portal, exam) for exam in (full, empty, right)] == [620, 0, 1]


def test_an_unread_exam_is_left_alone_and_reported(desk: DeskUnderTest, portal: Portal) -> None:
    """One whose links cannot be read, and one whose bookings cannot."""
    known, unread = portal.exam(total_bookings=4), portal.exam(total_bookings=9)
    portal.sandbox.fault("partial", path=r"/2-50158913/2-50158943/batch/read", times=1)
    first = recount(known, unread)
    portal.booking(portal.student("alice"), unread)
    portal.sandbox.fault("status", status=500, path=READ_BOOKINGS, times=1)
    second = recount(unread)

    assert [(one.actual, one.updated) for one in (*first, *second)] == [
        (0, True),
        (None, False),
        (None, False),
    ]
    assert first[0].error == ""
    assert first[1].error != ""
    assert second[0].error != ""
    assert [stored_total(portal, exam) for exam in (known, unread)] == [0, 9]


@pytest.mark.parametrize("path", [READ_BOOKINGS, "associations", "2-50158913/batch/update"])
def test_what_hubspot_quotes_is_no_part_of_the_reason(
    path: str, desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=4)
    portal.booking(portal.student("alice"), exam)
    words = {"status": "error", "category": "VALIDATION_ERROR", "message": "alice@x.example is odd"}
    portal.sandbox.fault("status", path=path, status=400, body=words)

    (count,) = recount(exam)

    assert count.error.startswith("HubSpot refused with 400")
    assert "alice" not in count.error


def test_a_dry_run_writes_nothing(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam(total_bookings=4)

    (count,) = recount(exam, dry_run=True)

    assert (count.actual, count.differs, count.updated) == (0, True, False)
    assert stored_total(portal, exam) == 4


def test_a_booking_made_during_a_recount_is_not_lost(desk: DeskUnderTest, portal: Portal) -> None:
    """The recount has seen who is linked when the booking is made; it corrects afterwards."""
    alice, exam = portal.student("alice"), portal.exam(total_bookings=5)
    portal.booking(portal.student("somebody"), exam)
    counts: list[ExamCount] = []

    with desk.stuck(READ_BOOKINGS) as call:
        counting = Thread(target=lambda: counts.extend(recount(exam)))
        counting.start()
        call.wait_for_it()
        assert create(desk.api, alice, exam).status == 201
        assert stored_total(portal, exam) == 2
        call.go_on()
        counting.join(LIMIT_S)

    assert [one.actual for one in counts] == [2]
    assert stored_total(portal, exam) == 2


def test_what_holds_up_people_is_not_left_to_the_background(
    settings: Settings, portal: Portal
) -> None:
    """Reading takes the whole of the background's share; the correction, for which the desk serves
    nobody else, does not wait for the next window."""
    exam = portal.exam(total_bookings=4)
    portal.booking(portal.student("alice"), exam)
    small = {"requests_per_window": 100, "window_s": 3_600.0, "background_share": 0.03}

    with running_desk(settings, portal.sandbox, **small):
        (count,) = recount(exam)

    assert (count.actual, count.updated, count.error) == (1, True, "")
    assert stored_total(portal, exam) == 1
