"""`POST /api/bookings/create`, as callers see it."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.desk import active_bookings, cancel, create, credit_of, stored_total

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_seat_is_booked_charged_and_counted(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam(capacity=10)

    reply = create(api, alice, exam, "key-1")

    assert reply.status == 201, reply.body
    assert reply.data["booking_id"] == f"clinical-{alice.student_id}-{exam.day}"
    assert reply.data["idempotency_key"] == "key-1"
    assert reply.data["credit_details"]["remaining_credits"] == 4
    assert len(active_bookings(portal, exam)) == 1
    assert credit_of(portal, alice) == 4
    assert stored_total(portal, exam) == 1


def test_a_cancelled_seat_gives_back_its_credit_and_its_place(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam(capacity=1)
    booked = create(api, alice, exam).data["booking_record_id"]

    reply = cancel(api, alice, booked, "ill")

    assert reply.status == 200, reply.body
    assert reply.data["credit_restoration"]["new_balance"] == 5
    assert active_bookings(portal, exam) == []
    assert credit_of(portal, alice) == 5
    assert stored_total(portal, exam) == 0
    assert create(api, alice, exam).status == 201
