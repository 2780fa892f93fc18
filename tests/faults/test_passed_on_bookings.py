"""Bookings passed on to another student: requests of two students change one balance."""

from __future__ import annotations

from functools import partial

import pytest

from tests.builders import Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest

pytestmark = pytest.mark.django_db(transaction=True)


def pass_on(portal: Portal, record_id: str, giver: Student, taker: Student) -> None:
    types, names = portal.profile.object_types, portal.profile.booking_properties
    portal.sandbox.associate(types.contacts, taker.id, types.bookings, record_id)
    portal.sandbox.dissociate(types.contacts, giver.id, types.bookings, record_id)
    new = {"contact_id": taker.id, "student_id": taker.student_id, "email": taker.email}
    stored = {names[field]: value for field, value in new.items() if field in names}
    portal.sandbox.edit(types.bookings, record_id, **stored)


def test_two_credits_of_one_payer_in_one_group_are_both_given_back(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    passed_on, kept = (
        create(desk.api, alice, portal.exam(in_days=days)).data["booking_record_id"]
        for days in (20, 21)
    )
    pass_on(portal, passed_on, alice, charlie)
    before = credit_of(portal, alice)
    deeds = [
        partial(cancel, desk.api, charlie, passed_on),
        partial(cancel, desk.api, alice, kept),
    ]

    with desk.held_up():
        group = desk.begin(deeds)
    replies = group.wait_for_replies()
    desk.wait_until_idle()
    # Who was told that nothing was changed asks again.
    again = [deed() for deed, reply in zip(deeds, replies, strict=True) if reply.status == 503]
    desk.wait_until_idle()

    assert {reply.status for reply in replies} <= {200, 503}
    assert {reply.status for reply in again} <= {200}
    assert credit_of(portal, alice) == before + 2
