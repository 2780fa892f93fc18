"""HubSpot keeps a write longer than we wait for it: it comes late, and undoes nothing."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LONG_AGO
from booking_api.desk.journal.models import CreditReview, EntryState, JournalEntry, Lease
from hubspot_sync.errors import ConfigurationError
from tests.builders import Portal
from tests.desk import cancel, create, credit_of, update
from tests.faults.groups import DeskUnderTest
from tests.faults.tables import BOOKINGS, CONTACTS, WRITES
from tests.faults.test_proved_charges import CREDIT, MARKER, come_to_rest, marks_of
from tests.faults.world import Holdings, broken_promises, seats
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CREDITS_PATH = WRITES["credits"]
BOOKINGS_PATH = f"/{BOOKINGS}/batch/update"
BOTH = pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])


@pytest.mark.sampled
@BOTH
def test_a_late_charge_is_waited_for_and_only_its_student_waits(
    desk: DeskUnderTest, portal: Portal, marked: bool
) -> None:
    if not marked:
        portal.sandbox.drop_property(CONTACTS, MARKER)
    ann, ben = portal.student("ann", credits=5), portal.student("ben", credits=5)
    exams = [portal.exam(in_days=day) for day in (7, 8, 9)]
    owned = Holdings.of(portal, [ann, ben])
    held = portal.sandbox.fault("hold", path=CREDITS_PATH, times=1)

    first = desk.outlast_turn(partial(create, desk.api, ann, exams[0], "key-1"))
    second = desk.begin([partial(create, desk.api, ann, exams[1], "key-2")])
    assert create(desk.api, ben, exams[2]).status == 201
    desk.pass_deadlines()
    (refused,) = second.wait_for_replies()
    assert [(one.status, "Retry-After" in one.headers) for one in (first, refused)] == [
        (503, True),
        (503, True),
    ]
    assert credit_of(portal, ann) == 5

    portal.sandbox.clear_faults(held)
    desk.wait_until_idle()
    assert create(desk.api, ann, exams[0], "key-1").status == 200
    assert create(desk.api, ann, exams[1], "key-2").status == 201
    come_to_rest(desk)
    assert credit_of(portal, ann) == 3
    assert broken_promises(portal, exams, [ann, ben], owned) == []
    assert not CreditReview.objects.exists()


def test_a_charge_that_comes_after_it_was_given_up_is_counted_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8, 9)]
    owned = Holdings.of(portal, [ann])
    held = portal.sandbox.fault("hold", path=CREDITS_PATH, times=1)
    desk.outlast_turn(partial(create, desk.api, ann, exams[0]))
    desk.wait_until_idle()
    assert credit_of(portal, ann) == 4
    assert create(desk.api, ann, exams[1]).status == 201

    portal.sandbox.clear_faults(held)
    assert credit_of(portal, ann) == 4
    assert create(desk.api, ann, exams[2]).status == 201
    come_to_rest(desk)

    assert credit_of(portal, ann) == 2
    assert broken_promises(portal, exams, [ann], owned) == []


def test_a_late_refund_of_a_cancel_is_given_once(desk: DeskUnderTest, portal: Portal) -> None:
    ann, exam = portal.student("ann", credits=5), portal.exam(total_bookings=1)
    booking = portal.booking(ann, exam, seat_key=f"{exam.id}:1")
    held = portal.sandbox.fault("hold", path=CREDITS_PATH, times=1)
    assert desk.outlast_turn(partial(cancel, desk.api, ann, booking.id)).status == 503
    desk.wait_until_idle()
    portal.sandbox.edit(CONTACTS, ann.id, **{CREDIT: "9"})

    portal.sandbox.clear_faults(held)
    come_to_rest(desk)

    assert credit_of(portal, ann) == 9


def test_a_late_change_of_a_booking_is_put_over_no_newer_one(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, exam = portal.student("ann"), portal.exam(total_bookings=1)
    booking = portal.booking(ann, exam, attending_location="", seat_key=f"{exam.id}:1")
    held = portal.sandbox.fault("hold", path=BOOKINGS_PATH, times=1)

    for place in ("calgary", "vancouver"):
        change = partial(update, desk.api, ann, booking.id, attending_location=place)
        assert desk.outlast_turn(change).status == 503
    portal.sandbox.clear_faults(held)
    desk.wait_until_idle()
    assert JournalEntry.objects.filter(state=EntryState.DONE).count() == 1
    assert update(desk.api, ann, booking.id, attending_location="montreal").status == 200

    stored = portal.sandbox.record(BOOKINGS, booking.id)["properties"]["attending_location"]
    assert stored.lower() == "montreal"


def test_a_late_cancel_is_not_sent_again_over_what_a_person_did_since(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, exam = portal.student("ann", credits=5), portal.exam(total_bookings=1)
    booking = portal.booking(ann, exam, seat_key=f"{exam.id}:1")
    held = portal.sandbox.fault("hold", path=BOOKINGS_PATH, times=1)
    assert desk.outlast_turn(partial(cancel, desk.api, ann, booking.id)).status == 503
    with desk.held_up():
        portal.sandbox.clear_faults(held)
        portal.sandbox.edit(BOOKINGS, booking.id, is_active="true", booking_status="confirmed")
    desk.wait_until_idle()

    assert [seat.record_id for seat in seats(portal)] == [booking.id]
    assert portal.sandbox.calls_count("objects.batch_update", status=0) == 1
    assert credit_of(portal, ann) == 6


def test_a_late_correction_is_waited_for_as_well(desk: DeskUnderTest, portal: Portal) -> None:
    ann, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8, 9)]
    assert [create(desk.api, ann, exam).status for exam in exams[:2]] == [201, 201]
    desk.wait_until_idle()
    spoilt = {
        "inputs": [{"id": ann.id, "properties": {CREDIT: "4", MARKER: marks_of(portal, ann)[1]}}]
    }
    portal.sandbox.call("POST", f"/crm/v3/objects/{CONTACTS}/batch/update", spoilt)
    held = portal.sandbox.fault("hold", path=CREDITS_PATH, times=1)
    composition.services().booking.review_credits(timedelta(hours=1))
    eventually(lambda: CreditReview.objects.filter(in_doubt_since__isnull=False).exists())

    assert desk.outlast_turn(partial(create, desk.api, ann, exams[2])).status == 503
    portal.sandbox.clear_faults(held)
    desk.wait_until_idle()
    assert credit_of(portal, ann) == 3
    assert create(desk.api, ann, exams[2]).status == 201
    come_to_rest(desk)
    assert credit_of(portal, ann) == 2


def test_a_charge_of_a_desk_that_vanished_is_waited_for_from_the_takeover_on(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """It was only paused, and may have sent what it had saved long before."""
    ann, ben = portal.student("ann", credits=5), portal.student("ben", credits=5)
    portal.sandbox.fault("hold", path=CREDITS_PATH, times=1)
    given_up = desk.outlast_turn(partial(create, desk.api, ann, portal.exam(), "key-1"))
    assert given_up.status == 503
    with desk.held_up():
        long_ago = timezone.now() - timedelta(seconds=150)
        JournalEntry.objects.update(in_doubt_since=long_ago, next_attempt_at=None)
        Lease.objects.update(holder="vanished", expires_at=LONG_AGO)

    assert create(desk.api, ben, portal.exam()).status == 201

    row = JournalEntry.objects.get(idempotency_key="key-1")
    assert (row.state, credit_of(portal, ann)) == (EntryState.WRITTEN, 5)
    desk.clock.ahead += timedelta(seconds=121)
    desk.wait_until_idle()
    assert credit_of(portal, ann) == 4


def test_a_correction_of_a_desk_that_vanished_is_waited_for_from_the_takeover_on(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, ben = portal.student("ann", credits=5), portal.student("ben", credits=5)
    now = timezone.now()
    CreditReview.objects.create(
        subject_id=ann.id,
        asked_at=now,
        next_attempt_at=now + timedelta(hours=1),
        in_doubt_since=now - timedelta(seconds=150),
        mark="review.1",
    )
    vanished = {"holder": "vanished", "expires_at": LONG_AGO}
    Lease.objects.update_or_create(name=LEASE_NAME, defaults=vanished)

    assert create(desk.api, ben, portal.exam()).status == 201
    assert desk.outlast_turn(partial(create, desk.api, ann, portal.exam())).status == 503
    desk.clock.ahead += timedelta(seconds=121)
    assert create(desk.api, ann, portal.exam()).status == 201


def test_a_patience_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HUBSPOT_LATE_WRITE_S"):
        DeskConfig(late_write_s=-1)
