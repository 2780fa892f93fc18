"""Credits that are owed, beside what else a student does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Portal
from tests.desk import cancel, credit_of
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.test_refused_charges import CREDITS_PATH, allow_credits
from tests.faults.world import Holdings, broken_promises

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(settings: Settings, portal: Portal) -> Iterator[DeskUnderTest]:
    with running_desk(settings, portal.sandbox) as running:
        yield running


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
