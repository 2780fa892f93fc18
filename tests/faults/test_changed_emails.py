"""A student is a contact: whoever changes an e-mail makes no second student of one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Portal
from tests.desk import create, credit_of
from tests.faults.groups import DeskUnderTest
from tests.faults.tables import CONTACTS, WRITES
from tests.faults.test_proved_charges import marks_of
from tests.faults.world import seats
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.desk(config=DeskConfig(late_write_s=0)),
]

CREDITS_PATH = WRITES["credits"]


def test_who_books_again_under_a_new_email_waits_for_the_first_booking_and_pays_for_both(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8)]
    unwritten = portal.sandbox.fault("cut_before", path=CREDITS_PATH)
    first = desk.begin_one(partial(create, desk.api, ann, exams[0]))
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.WRITTEN).exists())
    portal.sandbox.edit(CONTACTS, ann.id, email="new@example.org")

    renamed = replace(ann, email="new@example.org")
    second = desk.begin_one(partial(create, desk.api, renamed, exams[1]))
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.QUEUED).exists())
    composition.services().booking.desk.run(lambda _: None).result()
    assert JournalEntry.objects.filter(state=EntryState.QUEUED).exists()
    portal.sandbox.clear_faults(unwritten)
    desk.wait_until_idle()

    assert [one.wait_for_replies()[0].status for one in (first, second)] == [201, 201]
    assert len(seats(portal)) == 2
    assert credit_of(portal, ann) == 3


def test_two_unfinished_rows_of_one_contact_are_settled_one_after_the_other(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Such as an earlier release may have left: each begun under an e-mail of its own."""
    ann, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8)]
    for exam in exams:
        assert create(desk.api, ann, exam).status == 201
    desk.wait_until_idle()
    with desk.held_up():
        portal.sandbox.edit(CONTACTS, ann.id, credits_clinical="5")
        for row in JournalEntry.objects.all():
            row.email, row.state = f"{row.id}@example.org", EntryState.WRITTEN
            row.credit_before, row.credit_after, row.next_attempt_at = 5, 4, None
            row.credit_mark = f"{row.id}.other.1"
            row.save()
    desk.wait_until_idle()

    assert credit_of(portal, ann) == 3
    rows = [mark.partition(".")[0] for mark in marks_of(portal, ann)]
    assert rows[:2] == [str(row.id) for row in JournalEntry.objects.order_by("-id")]
