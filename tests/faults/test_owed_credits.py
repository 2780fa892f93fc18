"""Credits that are owed, and bookings being taken back, beside what else a student does."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Portal
from tests.desk import cancel, create, credit_of, update
from tests.faults.groups import DeskUnderTest
from tests.faults.test_refused_charges import BOOKINGS_PATH, CREDITS_PATH, allow_credits, refusal
from tests.faults.world import Holdings, broken_promises
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.sampled
@pytest.mark.parametrize("fault", [None, "cut_before", "cut_after"])
def test_two_credits_owed_to_one_student_are_given_one_after_the_other(
    desk: DeskUnderTest, portal: Portal, fault: str | None
) -> None:
    student = portal.student("ben", credits=5)
    exams = [portal.exam(capacity=1, total_bookings=1, in_days=days) for days in (20, 21)]
    bookings = [portal.booking(student, exam, seat_key=f"{exam.id}:1") for exam in exams]
    owned = Holdings.of(portal, [student])
    allow_credits(portal, "[0-5]")
    for booking in bookings:
        assert cancel(desk.api, student, booking.id).status == 200
    assert JournalEntry.objects.filter(state=EntryState.OWING).count() == 2

    with desk.held_up():
        allow_credits(portal, None)
        if fault is not None:
            portal.sandbox.fault(fault, path=CREDITS_PATH, times=1)
        JournalEntry.objects.update(next_attempt_at=None)
    desk.wait_until_idle()

    assert credit_of(portal, student) == 7
    assert broken_promises(portal, exams, [student], owned) == []


def test_who_cancels_a_booking_that_is_being_taken_back_gains_no_credit(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ben", credits=7), portal.exam(capacity=1)
    owned = Holdings.of(portal, [student])
    portal.sandbox.fault(path=CREDITS_PATH, times=1, **refusal(400))
    refused = portal.sandbox.fault(path=BOOKINGS_PATH, **refusal(400, name="is_active"))
    first = desk.begin_one(partial(create, desk.api, student, exam, "key-1"))
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.UNDOING).exists())
    with desk.held_up():
        portal.sandbox.clear_faults(refused)
        undoing = JournalEntry.objects.get(state=EntryState.UNDOING)
        undoing.next_attempt_at = desk.clock.now() + timedelta(minutes=1)
        undoing.save(update_fields=["next_attempt_at"])
    booking_id = undoing.record_id

    assert cancel(desk.api, student, booking_id).code == "ALREADY_CANCELED"
    changed = update(desk.api, student, booking_id, attending_location="calgary")
    assert changed.code == "ALREADY_CANCELED"
    desk.wait_until_idle()

    first.wait_for_replies()
    assert credit_of(portal, student) == 7
    assert broken_promises(portal, [exam], [student], owned) == []
