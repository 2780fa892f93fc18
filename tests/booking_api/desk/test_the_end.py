"""What happens at the desk when the process ends."""

from __future__ import annotations

import pytest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import EntryState, JournalEntry, Lease
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.api import Api
from tests.builders import Portal
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest

WRITE = "/batch/create"
LIMIT_S = 40.0
WAITS_S = 10.0
"""Who asked a desk that has ended waits so long before the answer is looked up."""

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(60),
    # Nobody else gets the lease by waiting.
    pytest.mark.desk(config=DeskConfig(lease_s=60, grace_s=50), request_deadline_s=WAITS_S),
]


def test_a_recount_that_comes_too_late_for_the_desk_does_not_hold_up_the_end(
    api: Api, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=3)
    booking = composition.services().booking
    never = CallContext(deadline=Deadline(at_s=3600.0, clock=lambda: 0.0))

    booking.desk.close()
    (counted,) = booking.recount.recount([exam.id], never)

    assert (counted.actual, counted.updated) == (0, False)
    assert counted.error != ""


def test_a_desk_that_ends_amid_a_group_leaves_the_rest_to_the_next(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """After the call under way: others wait for its lease. They wait for no grace."""
    alice, exam = portal.student("alice", credits=3), portal.exam()
    ending = composition.services().booking.desk
    with desk.stuck(WRITE) as call:
        group = desk.begin_one(lambda: create(Api(), alice, exam))
        call.wait_for_it()
        ending.begin_close()
        call.go_on()
        ending.close()

    lease, row = Lease.objects.get(), JournalEntry.objects.get()
    assert (lease.holder, row.state, credit_of(portal, alice)) == ("", EntryState.WRITTEN, 3)
    composition.close()
    composition.services().booking.desk.finish().result(LIMIT_S)
    row.refresh_from_db()
    assert (row.state, row.epoch > lease.epoch) == (EntryState.DONE, True)
    assert credit_of(portal, alice) == 2
    (reply,) = group.wait_for_replies()
    assert reply.status == 201, reply.body


def test_a_desk_that_is_about_to_end_lets_others_have_the_lease_after_each_group(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """There is nobody else: it serves both, each in a turn of its own."""
    alice, bob = portal.student("alice", credits=2), portal.student("bob", credits=2)
    exam = portal.exam()
    record_id = create(desk.api, alice, exam).data["booking_record_id"]
    composition.services().booking.desk.hand_on()

    with desk.held_up():
        group = desk.begin(
            [lambda: cancel(Api(), alice, record_id), lambda: create(Api(), bob, exam)]
        )

    replies = group.wait_for_replies()
    assert [reply.status for reply in replies] == [200, 201], replies[1].body
    epochs = JournalEntry.objects.order_by("id").values_list("epoch", flat=True)
    assert len(set(epochs)) == 3
