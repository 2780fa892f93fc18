"""HubSpot shows who is linked to whom only five seconds later: nothing is sold twice meanwhile."""

from __future__ import annotations

import pytest

from booking_api import composition
from tests.builders import Portal
from tests.desk import cancel, create, credit_of, stored_total
from tests.faults.groups import DeskUnderTest
from tests.faults.world import Holdings, broken_promises, seats

pytestmark = pytest.mark.django_db(transaction=True)

LAG_S = 5


@pytest.fixture(autouse=True)
def lag(portal: Portal) -> None:
    portal.sandbox.configure(association_lag_s=LAG_S)


def let_links_be_seen(portal: Portal) -> None:
    portal.sandbox.advance(LAG_S + 1)


def test_the_last_seat_is_sold_once(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam(capacity=2)
    students = [portal.student(name, credits=2) for name in ("ann", "ben", "cleo", "dan")]
    owned = Holdings.of(portal, students)

    replies = [create(desk.api, one, exam) for one in students[:3]]
    composition.close()  # what one process has sold, the next one knows
    replies.append(create(desk.api, students[3], exam))

    assert [reply.status for reply in replies] == [201, 201, 400, 400]
    assert {reply.code for reply in replies[2:]} == {"EXAM_FULL"}
    assert stored_total(portal, exam) == 2
    let_links_be_seen(portal)
    assert broken_promises(portal, [exam], students, owned) == []


def test_a_student_books_a_day_once(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam, same_day = portal.student("alice"), portal.exam(), portal.exam()

    first = create(desk.api, alice, exam)
    second, third = create(desk.api, alice, exam, "key-2"), create(desk.api, alice, same_day)

    assert first.status == 201
    assert {second.code, third.code} == {"DUPLICATE_BOOKING"}
    assert credit_of(portal, alice) == 4


def test_what_was_just_booked_can_be_cancelled(desk: DeskUnderTest, portal: Portal) -> None:
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    owned = Holdings.of(portal, [alice, charlie])
    booked = create(desk.api, alice, exam).data["booking_record_id"]

    stranger = cancel(desk.api, charlie, booked)
    own = cancel(desk.api, alice, booked)
    desk.wait_until_idle()

    assert (stranger.status, stranger.code) == (403, "ACCESS_DENIED")
    assert own.status == 200, own.body
    assert own.data["actions_completed"]["bookings_decremented"] is True
    assert seats(portal) == []
    assert broken_promises(portal, [exam], [alice, charlie], owned) == []


def test_a_recount_does_not_miss_what_was_just_booked(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    assert create(desk.api, alice, exam).status == 201

    composition.services().booking.recounts.request([exam.id])
    desk.wait_until_idle()

    assert stored_total(portal, exam) == 1
