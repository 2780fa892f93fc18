"""What nobody but a person can end is counted, and no longer once it is over."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import CreditReview, EntryState, JournalEntry
from tests.api import Api
from tests.builders import Portal, Student
from tests.desk import cancel, create
from tests.metrics import shown
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

NONE = {"owed_credit": 0, "cut_history": 0, "credit_review": 0, "unreadable_plan": 0}


def for_persons(api: Api) -> dict[str, float]:
    """How many rows wait for a person, by why; empty where that is not shown."""
    return {
        dict(labels)["why"]: value
        for (name, labels), value in shown(api).items()
        if name == "mocks_desk_needs_person"
    }


def cut_history(portal: Portal, student: Student) -> None:
    """Change the student's credit and mark so often that HubSpot tells of nothing before."""
    portal.sandbox.configure(history_limit=2)
    contacts, credit = portal.profile.object_types.contacts, portal.first_type.credit_property
    for balance in ("6", "7", "8"):
        marked = {credit: balance, "credit_write_marker": balance}
        portal.sandbox.edit(contacts, student.id, **marked)


def try_again() -> None:
    JournalEntry.objects.update(next_attempt_at=None)
    composition.services().booking.desk.wake()


def test_what_goes_by_itself_waits_for_nobody(api: Api, portal: Portal) -> None:
    create(api, portal.student("alice"), portal.exam())

    assert for_persons(api) == NONE


def test_a_charge_of_which_no_history_tells_waits_for_a_person(
    settings: Settings, api: Api, portal: Portal
) -> None:
    settings.DESK = DeskConfig(late_write_s=0)
    composition.close()
    alice = portal.student("alice")
    create(api, alice, portal.exam())
    cut_history(portal, alice)
    JournalEntry.objects.update(state=EntryState.WRITTEN)

    try_again()

    eventually(lambda: for_persons(api) == NONE | {"cut_history": 1})
    portal.sandbox.configure(history_limit=0)
    try_again()
    eventually(lambda: for_persons(api) == NONE)


def test_a_credit_that_hubspot_refuses_to_take_back_waits_for_a_person(
    api: Api, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booking = portal.booking(alice, exam, seat_key=f"{exam.id}:1")
    credit, contacts = portal.first_type.credit_property, portal.profile.object_types.contacts
    rule = {"object_type": contacts, "property": credit, "pattern": "[0-5]"}
    portal.sandbox.configure(validation_rules=[rule])

    assert cancel(api, alice, booking.id).status == 200

    assert for_persons(api) == NONE | {"owed_credit": 1}
    portal.sandbox.configure(validation_rules=[])
    try_again()
    eventually(lambda: for_persons(api) == NONE)


def test_a_review_of_which_no_history_tells_waits_for_a_person(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    create(api, alice, portal.exam())
    cut_history(portal, alice)
    now = timezone.now()
    CreditReview.objects.create(subject_id=alice.id, asked_at=now, next_attempt_at=now)

    composition.services().booking.desk.wake()

    eventually(lambda: for_persons(api) == NONE | {"credit_review": 1})


def test_a_row_whose_plan_nobody_can_read_waits_for_a_person(api: Api, portal: Portal) -> None:
    create(api, portal.student("alice"), portal.exam())
    plan = JournalEntry.objects.get().plan
    JournalEntry.objects.update(state=EntryState.WRITTEN, plan={"seat_number": "first"})

    try_again()

    eventually(lambda: for_persons(api) == NONE | {"unreadable_plan": 1})
    JournalEntry.objects.update(plan=plan)
    try_again()
    eventually(lambda: for_persons(api) == NONE)


def test_without_the_database_nobody_is_told_that_there_are_none(api: Api) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("away")

    with connection.execute_wrapper(away):
        assert for_persons(api) == {}
