"""What was perhaps done already is gone on with, whatever the second try is told."""

from __future__ import annotations

from functools import partial

import pytest

from booking_api.desk.journal.models import JournalEntry, OutboxNote
from tests.builders import Portal
from tests.desk import cancel, create
from tests.faults.groups import DeskUnderTest
from tests.faults.tables import NOT_NOW
from tests.faults.world import Holdings, broken_promises, seats

pytestmark = pytest.mark.django_db(transaction=True)

CREATE = "/2-50158943/batch/create"


def test_a_create_that_may_be_on_its_way_is_not_refused_for_a_429(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """The first sending is lost without an answer; the second is told to come later."""
    alice, exam = portal.student("alice"), portal.exam()
    owned = Holdings.of(portal, [alice])
    portal.sandbox.fault("cut_before", path=CREATE, nth=1)
    portal.sandbox.fault(path=CREATE, nth=2, **NOT_NOW)

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, alice, exam, "key-1")])
    desk.wait_until_idle()

    assert [reply.status for reply in group.wait_for_replies()] == [201]
    assert broken_promises(portal, [exam], [alice], owned) == []


def test_a_key_the_journal_has_forgotten_is_not_paid_for_again(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Booked, cancelled, and so long ago that only HubSpot remembers the key."""
    alice, exam = portal.student("alice"), portal.exam()
    owned = Holdings.of(portal, [alice])
    booked = create(desk.api, alice, exam, "key-1").data["booking_record_id"]
    assert cancel(desk.api, alice, booked).status == 200
    desk.wait_until_idle()
    OutboxNote.objects.all().delete()
    JournalEntry.objects.all().delete()

    again = create(desk.api, alice, exam, "key-1")
    desk.wait_until_idle()

    assert (again.status, again.code) == (409, "ALREADY_CANCELED")
    assert seats(portal) == []
    assert broken_promises(portal, [exam], [alice], owned) == []
