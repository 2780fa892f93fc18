"""A contact, a booking or an exam is merged while the desk is at work on it: what was begun ends,
and the survivor pays once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.utils import timezone

from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Portal, Student
from tests.desk import cancel, create, credit_of, stored_total
from tests.faults.groups import DeskUnderTest
from tests.faults.tables import BOOKINGS, CONTACTS, EXAMS, NOT_NOW, NOTES, WRITES
from tests.faults.test_proved_charges import SERVICE_KEY, SHOP
from tests.faults.world import notes_of, seats
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WAITS_S = 5.0
"""For how long a student waits whose charge HubSpot has not answered."""

CREATE_PATH = f"/{BOOKINGS}/batch/create"
CHANGE_PATH = f"/{BOOKINGS}/batch/update"
CREDITS_PATH = WRITES["credits"]
BY_MERGE = ("MERGE_OBJECTS", "merge")
PERSON = ("CRM_UI", "userId:1")
SURVIVOR = pytest.mark.parametrize("knows_merged", [True], indirect=True, ids=["survivor"])
LEFT_OUT = pytest.mark.parametrize("knows_merged", [False], indirect=True, ids=["left out"])


@pytest.fixture(params=[True, False], ids=["survivor", "left out"], autouse=True)
def knows_merged(request: pytest.FixtureRequest, portal: Portal) -> bool:
    """Whether HubSpot's batches answer for merged records with the survivor."""
    portal.sandbox.configure(batches_know_merged=request.param)
    return bool(request.param)


def links(portal: Portal, from_type: str, record_id: str, to_type: str) -> list[str]:
    path = f"/crm/v4/objects/{from_type}/{record_id}/associations/{to_type}"
    return [str(each["toObjectId"]) for each in portal.sandbox.call("GET", path).body["results"]]


def assert_all_ended(student: Student) -> None:
    rows = JournalEntry.objects.all()
    assert {row.state for row in rows} == {EntryState.DONE}
    assert all(row.contact_id == student.id for row in rows.filter(email__startswith="dana"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("when", "credits_"),
    [
        ("before the charge", 5),
        ("after a refusal", 5),
        ("after the charge", 5),
        ("after the charge", 9),
        pytest.param("before the charge", 9, marks=pytest.mark.chaos),
        pytest.param("after a refusal", 9, marks=pytest.mark.chaos),
    ],
)
@pytest.mark.desk(request_deadline_s=WAITS_S)
def test_a_charge_is_pending_while_its_contact_is_merged(
    desk: DeskUnderTest, portal: Portal, when: str, credits_: int
) -> None:
    """With as many credits the survivor has had the planned balance itself, for another booking."""
    alice, dana = portal.student("alice", credits=credits_), portal.student("dana")
    first, second = portal.exam(in_days=7), portal.exam(in_days=8)
    assert create(desk.api, alice, first).status == 201
    merge = partial(portal.sandbox.merge, CONTACTS, alice.id, dana.id)
    if when == "before the charge":
        with desk.stuck(CREDITS_PATH) as call:
            group = desk.begin_one(partial(create, desk.api, dana, second))
            call.wait_for_it()
            merge()
            call.go_on()
            group.wait_for_replies()
    else:
        fault = NOT_NOW if when == "after a refusal" else {"action": "cut_after"}
        portal.sandbox.fault(path=CREDITS_PATH, times=1, **fault)
        with desk.held_up():
            group = desk.begin([partial(create, desk.api, dana, second)])
            unfinished = JournalEntry.objects.filter(state=EntryState.WRITTEN)
        eventually(lambda: unfinished.filter(attempts__gt=0).exists())
        merge()
        group.wait_for_replies()
    desk.wait_until_idle()

    assert credit_of(portal, alice) == credits_ - 2
    assert len(links(portal, CONTACTS, alice.id, BOOKINGS)) == len(seats(portal)) == 2
    assert_all_ended(alice)
    for exam in (first, second):
        assert stored_total(portal, exam) == 1
    assert len(notes_of(portal, "Mock exam booked", dana.student_id)) == 1


def test_two_charges_are_pending_when_their_contacts_become_one(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, dana = portal.student("alice"), portal.student("dana")
    exams = [portal.exam(in_days=day) for day in (7, 8)]
    fault = portal.sandbox.fault(path=CREDITS_PATH, **NOT_NOW)
    with desk.held_up():
        deeds = [
            partial(create, desk.api, one, exam)
            for one, exam in zip((alice, dana), exams, strict=True)
        ]
        group = desk.begin(deeds)
    pending = JournalEntry.objects.filter(state=EntryState.WRITTEN, attempts__gt=0)
    eventually(lambda: pending.count() == 2)
    portal.sandbox.merge(CONTACTS, alice.id, dana.id)
    portal.sandbox.clear_faults(fault)
    desk.wait_until_idle()
    group.wait_for_replies()

    assert credit_of(portal, alice) == 3
    assert_all_ended(alice)


@pytest.mark.sampled
@pytest.mark.desk(request_deadline_s=WAITS_S)
def test_contact_and_exam_are_merged_before_the_booking_is_made(
    desk: DeskUnderTest, portal: Portal, knows_merged: bool
) -> None:
    """Where HubSpot makes no booking for what was merged, the survivor's charge is planned anew;
    nobody else of the group notices."""
    alice, dana = portal.student("alice", credits=9), portal.student("dana")
    kept, old = portal.exam(capacity=2), portal.exam(capacity=2)
    ben, other = portal.student("ben"), portal.exam(in_days=30)
    with desk.stuck(CREATE_PATH) as call:
        with desk.held_up():
            group = desk.begin(
                [partial(create, desk.api, dana, old), partial(create, desk.api, ben, other)]
            )
        call.wait_for_it()
        portal.sandbox.merge(CONTACTS, alice.id, dana.id)
        portal.sandbox.merge(EXAMS, kept.id, old.id)
        call.go_on()
        reply, neighbours = group.wait_for_replies()
    desk.wait_until_idle()

    assert (reply.status, neighbours.status) == (201 if knows_merged else 503, 201), neighbours.body
    (seat,) = [each for each in seats(portal) if each.contact_id != ben.id]
    assert links(portal, CONTACTS, alice.id, BOOKINGS) == [seat.record_id]
    assert links(portal, EXAMS, kept.id, BOOKINGS) == [seat.record_id]
    assert credit_of(portal, alice) == 8
    assert (stored_total(portal, kept), stored_total(portal, other)) == (1, 1)
    assert_all_ended(alice)


def test_a_booking_is_merged_while_it_is_cancelled(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    kept, old = portal.booking(alice, exam), portal.booking(alice, exam)
    with desk.stuck(CHANGE_PATH) as call:
        group = desk.begin_one(partial(cancel, desk.api, alice, old.id))
        call.wait_for_it()
        portal.sandbox.merge(BOOKINGS, kept.id, old.id)
        call.go_on()
        (reply,) = group.wait_for_replies()
    desk.wait_until_idle()

    assert reply.status == 200
    assert seats(portal) == []
    assert credit_of(portal, alice) == 6


def test_a_review_of_a_merged_contact_leaves_the_survivors_credits_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, dana = portal.student("alice", credits=9), portal.student("dana")
    assert create(desk.api, dana, portal.exam()).status == 201
    portal.sandbox.merge(CONTACTS, alice.id, dana.id)
    now = timezone.now()
    follow_ups.request_reviews({dana.id}, now, now, overtaken=True)
    desk.wait_until_idle()

    assert credit_of(portal, alice) == 9


def test_a_note_follows_its_contact(desk: DeskUnderTest, portal: Portal) -> None:
    alice, dana = portal.student("alice"), portal.student("dana")
    fault = portal.sandbox.fault(path=WRITES["note"], **NOT_NOW)
    assert create(desk.api, dana, portal.exam()).status == 201
    eventually(lambda: portal.sandbox.calls_count("objects.batch_create", status=429) > 0)
    portal.sandbox.merge(CONTACTS, alice.id, dana.id)
    portal.sandbox.clear_faults(fault)
    desk.wait_until_idle()

    (note,) = notes_of(portal, "Mock exam booked", dana.student_id)
    assert links(portal, NOTES, note["id"], CONTACTS) == [alice.id]


def is_charge_postponed() -> bool:
    return JournalEntry.objects.filter(state=EntryState.WRITTEN, attempts__gt=0).exists()


@contextmanager
def lost_charge(desk: DeskUnderTest, portal: Portal, student: Student) -> Iterator[None]:
    """Inside the block a charge of the student's has come, and nobody has heard of it or can look;
    afterwards all has come to rest."""
    with desk.stuck(CREDITS_PATH) as call:
        group = desk.begin_one(partial(create, desk.api, student, portal.exam()))
        call.wait_for_it()
        portal.sandbox.fault("cut_after", path=CREDITS_PATH, times=1)
        unread = portal.sandbox.fault(path=f"/{CONTACTS}/batch/read", **NOT_NOW)
        call.go_on()
        eventually(is_charge_postponed)
        yield
    portal.sandbox.clear_faults(unread)
    desk.wait_until_idle()
    group.wait_for_replies()


@LEFT_OUT
def test_a_mark_that_came_with_the_merge_proves_no_charge_of_the_survivor(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """The survivor had no mark, and takes over the one of the other's charge, but not its credit;
    its own charge is lost once."""
    alice, dana = portal.student("alice", credits=9), portal.student("dana")
    with lost_charge(desk, portal, dana):
        portal.sandbox.merge(CONTACTS, alice.id, dana.id)
        portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)

    assert credit_of(portal, alice) == 8
    assert_all_ended(alice)


@SURVIVOR
def test_a_balance_that_came_with_the_merge_is_charged_already(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """HubSpot may let the survivor have the value that is newer."""
    alice, dana = portal.student("alice", credits=9), portal.student("dana")
    with lost_charge(desk, portal, dana):
        charged = portal.sandbox.record(CONTACTS, dana.id)["properties"]
        taken = {name: charged[name] for name in ("credits_clinical", "credit_write_marker")}
        portal.sandbox.merge(CONTACTS, alice.id, dana.id)
        portal.sandbox.write_as(BY_MERGE, CONTACTS, alice.id, **taken)

    assert credit_of(portal, alice) == 4
    assert_all_ended(alice)


@SURVIVOR
def test_a_late_charge_that_leaves_the_survivor_its_balance_proves_nothing(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, dana = portal.student("alice", credits=4), portal.student("dana", credits=5)
    with desk.stuck(CREDITS_PATH) as call:
        group = desk.begin_one(partial(create, desk.api, dana, portal.exam()))
        call.wait_for_it()
        portal.sandbox.merge(CONTACTS, alice.id, dana.id)
        portal.sandbox.fault("cut_before", path=CREDITS_PATH, nth=2)
        call.go_on()
    desk.wait_until_idle()
    group.wait_for_replies()

    assert credit_of(portal, alice) == 3
    assert_all_ended(alice)


@SURVIVOR
@pytest.mark.parametrize("source", [PERSON, SHOP], ids=["a person", "another app"])
def test_what_others_set_after_a_late_charge_of_the_survivor_stands(
    desk: DeskUnderTest, portal: Portal, source: tuple[str, str]
) -> None:
    portal.sandbox.configure(**SERVICE_KEY)
    alice, dana = portal.student("alice", credits=9), portal.student("dana")
    with desk.stuck(CREDITS_PATH) as call:
        group = desk.begin_one(partial(create, desk.api, dana, portal.exam()))
        call.wait_for_it()
        portal.sandbox.merge(CONTACTS, alice.id, dana.id)
        unread = portal.sandbox.fault(path=f"/{CONTACTS}/batch/read", **NOT_NOW)
        call.go_on()
        eventually(is_charge_postponed)
        assert credit_of(portal, alice) == 4
        portal.sandbox.advance(1)
        portal.sandbox.write_as(source, CONTACTS, alice.id, credits_clinical="7")
        portal.sandbox.clear_faults(unread)
        group.wait_for_replies()
    desk.wait_until_idle()

    assert credit_of(portal, alice) == 7
    assert_all_ended(alice)


def test_a_booking_that_links_show_by_its_old_id_alone_lets_its_student_book_on(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Links are late, so that the journal alone names it; it is another record by then, of which
    nobody can tell whose it is but by the links."""
    alice, ben = portal.student("alice"), portal.student("ben")
    exam, later = portal.exam(), portal.exam(in_days=9)
    nobodys = portal.booking(
        ben, portal.exam(in_days=8), contact_id=None, student_id=None, booking_id=None
    )
    portal.sandbox.configure(association_lag_s=60)
    booked = create(desk.api, alice, exam).data["booking_record_id"]

    portal.sandbox.merge(BOOKINGS, nobodys.id, booked)
    next_one = create(desk.api, alice, later)

    assert next_one.status == 201, next_one.body
