"""HubSpot refuses for good to write a credit: nobody sits without paying, nobody waits for that."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from pytest_django import Settings

from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import EntryState, JournalEntry
from hubspot_sync.config import ApiVersion
from hubspot_sync.portal.profile import load_profile
from tests.api import Reply
from tests.builders import Exam, Portal, Student
from tests.desk import active_bookings, cancel, create, credit_of, stored_total
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.tables import BOOKINGS, CONTACTS, NOT_NOW, WRITES
from tests.faults.world import Holdings, broken_promises, notes_of, seats
from tests.sandbox import SandboxHandle
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WAITS_S = 5.0
"""For how long a student waits whose charge HubSpot has not answered."""

CREDIT = "credits_clinical"
CREDITS_PATH = WRITES["credits"]
BOOKINGS_PATH = f"/{BOOKINGS}/batch/update"


def allow_credits(portal: Portal, pattern: str | None) -> None:
    """What an administrator demands of the credit; None for nothing any more."""
    rule = {"object_type": CONTACTS, "property": CREDIT, "pattern": pattern}
    portal.sandbox.configure(validation_rules=[] if pattern is None else [rule])


def refusal(
    status: int, *, category: str = "VALIDATION_ERROR", name: str | None = CREDIT
) -> dict[str, Any]:
    """A fault that refuses as HubSpot does, naming a property where it has a `name`."""
    context = {} if name is None else {"context": {"propertyName": [name]}}
    body = {"status": "error", "category": category, "message": "No.", **context}
    return {"action": "status", "status": status, "body": body}


def last_entry() -> JournalEntry:
    return JournalEntry.objects.order_by("-id")[0]


def check_taken_back(portal: Portal, reply: Reply, student: Student, exam: Exam) -> None:
    """Refused at once, and nothing of it is left: no seat, no charge, no note."""
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR"), reply.body
    assert CREDIT in reply.body["error"]
    assert active_bookings(portal, exam) == []
    assert stored_total(portal, exam) == 0
    assert credit_of(portal, student) == student.credits[CREDIT]
    assert notes_of(portal, "Mock exam booked", student.student_id) == []
    states = portal.sandbox.records(BOOKINGS)
    assert [one["properties"].get("seat_key") for one in states] == [None] * len(states)


def test_who_cannot_be_charged_has_no_seat_and_is_told_at_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ann, cleo = portal.student("ann", credits=4), portal.student("cleo", credits=4)
    ben, exam = portal.student("ben", credits=7), portal.exam(capacity=3)
    owned = Holdings.of(portal, [ann, ben, cleo])
    allow_credits(portal, "[0-5]")

    with desk.held_up():
        deeds = [partial(create, desk.api, one, exam, f"key-{one.id}") for one in (ann, ben, cleo)]
        group = desk.begin(deeds)
    replies = group.wait_for_replies()
    desk.wait_until_idle()

    assert [reply.status for reply in replies] == [201, 400, 201]
    assert replies[1].code == "VALIDATION_ERROR"
    assert CREDIT in replies[1].body["error"]
    assert broken_promises(portal, [exam], [ann, ben, cleo], owned) == []
    (entry,) = JournalEntry.objects.filter(contact_id=ben.id)
    assert (entry.state, entry.attempts) == (EntryState.UNDONE, 0)
    assert CREDIT in entry.last_error
    assert "Mend" in entry.last_error


def test_a_rule_that_is_lifted_later_charges_nobody_for_what_was_taken_back(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ben", credits=7), portal.exam(capacity=1)
    allow_credits(portal, "[0-5]")
    first = create(desk.api, student, exam, "key-1")
    desk.wait_until_idle()
    check_taken_back(portal, first, student, exam)

    allow_credits(portal, None)
    repeated = create(desk.api, student, exam, "key-1")
    desk.wait_until_idle()
    check_taken_back(portal, repeated, student, exam)
    assert portal.sandbox.calls_count("objects.batch_create") == 1

    assert create(desk.api, student, exam, "key-2").status == 201
    desk.wait_until_idle()
    assert credit_of(portal, student) == 6


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("school", "api_version", "status"),
    [
        ("default", "legacy", 400),
        ("default", "2026-09", 403),
        ("prepdoctors", "2026-03", 403),
        ("prepdoctors", "2026-09", 400),
    ],
)
def test_what_names_the_credit_is_refused_for_good_everywhere(
    settings: Settings, sandbox: SandboxHandle, school: str, api_version: ApiVersion, status: int
) -> None:
    portal = Portal(sandbox, load_profile(school))
    sandbox.kind()
    credit = portal.first_type.credit_property
    student, exam = portal.student("ben", credits=7), portal.exam(capacity=1)
    other = portal.exam(capacity=1, in_days=20)
    with running_desk(settings, sandbox, portal=school, api_version=api_version) as desk:
        sandbox.fault(path=CREDITS_PATH, times=1, **refusal(status, name=credit))
        refused = create(desk.api, student, exam)
        desk.wait_until_idle()
        (record,) = sandbox.records(BOOKINGS)
        booked = create(desk.api, student, other)
        desk.wait_until_idle()
        sandbox.fault(path=CREDITS_PATH, times=1, **refusal(status, name=credit))
        cancelled = cancel(desk.api, student, booked.data["booking_record_id"])
        left = credit_of(portal, student)
        desk.wait_until_idle()

    assert (refused.code, booked.status) == ("VALIDATION_ERROR", 201)
    assert credit in refused.body["error"]
    state = record["properties"][portal.profile.booking_properties["is_active"]]
    assert state == portal.profile.booking_states["cancelled"][0]
    assert cancelled.data["actions_completed"]["credits_restored"] is False
    assert (left, credit_of(portal, student)) == (6, 7)
    assert [stored_total(portal, one) for one in (exam, other)] == [0, 0]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refusal(400, name=None), id="no property named"),
        pytest.param(refusal(400, category="OTHER"), id="no validation"),
        pytest.param(refusal(403, category="MISSING_SCOPES", name=None), id="scopes"),
        pytest.param(refusal(409), id="409"),
        pytest.param(refusal(423), id="423"),
        pytest.param(refusal(500), id="500"),
        pytest.param(NOT_NOW, id="429"),
        pytest.param({"action": "cut_before"}, id="unanswered"),
        pytest.param({"action": "cut_after"}, id="answer lost"),
        pytest.param({"action": "partial", "last": 1}, id="207 without a reason"),
    ],
)
@pytest.mark.desk(request_deadline_s=WAITS_S)
def test_what_may_pass_takes_nothing_back(
    desk: DeskUnderTest, portal: Portal, fault: dict[str, Any]
) -> None:
    student, exam = portal.student("ben", credits=7), portal.exam(capacity=1)
    owned = Holdings.of(portal, [student])
    portal.sandbox.fault(path=CREDITS_PATH, times=1, **fault)

    create(desk.api, student, exam)
    desk.wait_until_idle()

    assert last_entry().state == EntryState.DONE
    assert len(seats(portal)) == 1
    assert broken_promises(portal, [exam], [student], owned) == []


@pytest.mark.sampled
@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
@pytest.mark.desk(request_deadline_s=WAITS_S)
def test_an_unanswered_charge_is_looked_for_before_it_is_refused(
    desk: DeskUnderTest, portal: Portal, action: str
) -> None:
    student, exam = portal.student("ben", credits=6), portal.exam(capacity=1)
    owned = Holdings.of(portal, [student])
    portal.sandbox.fault(action, path=CREDITS_PATH, times=1)
    allow_credits(portal, "5" if action == "cut_after" else "[0-4]")

    create(desk.api, student, exam)
    desk.wait_until_idle()

    landed = action == "cut_after"
    assert last_entry().state == (EntryState.DONE if landed else EntryState.UNDONE)
    assert len(seats(portal)) == landed
    assert broken_promises(portal, [exam], [student], owned) == []


def test_a_charge_that_lands_after_its_booking_was_taken_back_is_given_back(
    settings: Settings, portal: Portal
) -> None:
    with running_desk(settings, portal.sandbox, DeskConfig(late_write_s=0)) as desk:
        lands_after_it_was_taken_back(desk, portal)


def lands_after_it_was_taken_back(desk: DeskUnderTest, portal: Portal) -> None:
    student, exam = portal.student("ben", credits=6), portal.exam(capacity=1)
    owned = Holdings.of(portal, [student])
    portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)
    allow_credits(portal, "[0-4]")
    create(desk.api, student, exam)
    eventually(lambda: last_entry().state == EntryState.UNDONE)

    allow_credits(portal, None)
    kept = {CREDIT: "5", "credit_write_marker": last_entry().credit_mark}
    late = {"inputs": [{"id": student.id, "properties": kept}]}
    portal.sandbox.call("POST", f"/crm/v3/objects/{CONTACTS}/batch/update", late)
    desk.wait_until_idle()

    assert broken_promises(portal, [exam], [student], owned) == []
    assert credit_of(portal, student) == 6


def test_a_student_archived_before_the_charge_leaves_no_booking(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ann", credits=4), portal.exam(capacity=1)
    with desk.stuck(CREDITS_PATH) as call:
        group = desk.begin_one(partial(create, desk.api, student, exam))
        call.wait_for_it()
        portal.archive(student)
        call.go_on()
        (reply,) = group.wait_for_replies()
    desk.wait_until_idle()

    assert (reply.status, reply.code) == (404, "CONTACT_NOT_FOUND")
    assert active_bookings(portal, exam) == []
    assert stored_total(portal, exam) == 0


def test_a_student_archived_while_the_charge_is_unanswered_leaves_no_booking(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ann", credits=4), portal.exam(capacity=1)
    portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)
    with desk.stuck(CREDITS_PATH) as call:
        group = desk.begin_one(partial(create, desk.api, student, exam))
        call.wait_for_it()
        portal.archive(student)
        call.go_on()
        (reply,) = group.wait_for_replies()
    desk.wait_until_idle()

    assert (reply.status, reply.code) == (404, "CONTACT_NOT_FOUND")
    assert active_bookings(portal, exam) == []
    assert stored_total(portal, exam) == 0


def test_a_booking_that_cannot_be_taken_back_yet_holds_up_nothing_else(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, other = portal.student("ben", credits=7), portal.exam(capacity=1, in_days=20)
    student_owned, exam = Holdings.of(portal, [student]), portal.exam(capacity=1)
    portal.sandbox.fault(path=CREDITS_PATH, times=1, **refusal(400))
    refused = portal.sandbox.fault(path=BOOKINGS_PATH, **refusal(400, name="is_active"))
    first = desk.begin_one(partial(create, desk.api, student, exam, "key-1"))
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.UNDOING).exists())

    assert create(desk.api, student, other).status == 201
    portal.sandbox.clear_faults(refused)
    desk.wait_until_idle()

    first.wait_for_replies()
    repeated = create(desk.api, student, exam, "key-1")
    assert (repeated.status, repeated.code) == (400, "VALIDATION_ERROR")
    assert broken_promises(portal, [exam, other], [student], student_owned) == []


def test_a_credit_that_cannot_be_given_back_is_owed_and_holds_up_nothing(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ben", credits=5), portal.exam(capacity=1, total_bookings=1)
    other = portal.exam(capacity=1, in_days=20)
    own = portal.booking(student, exam, seat_key=f"{exam.id}:1")
    owned = Holdings.of(portal, [student])
    allow_credits(portal, "[0-5]")

    reply = cancel(desk.api, student, own.id)
    assert reply.status == 200
    assert reply.data["actions_completed"]["credits_restored"] is False
    assert reply.data["credit_restoration"] is None
    owing = last_entry()
    assert owing.state == EntryState.OWING
    assert CREDIT in owing.last_error
    assert create(desk.api, student, other).status == 201
    assert cancel(desk.api, student, own.id).code == "ALREADY_CANCELED"

    allow_credits(portal, None)
    desk.wait_until_idle()
    assert JournalEntry.objects.get(id=owing.id).state == EntryState.DONE
    assert broken_promises(portal, [exam, other], [student], owned) == []


def test_an_owed_credit_is_refused_again_and_again_and_given_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ben", credits=5), portal.exam(capacity=1, total_bookings=1)
    own = portal.booking(student, exam, seat_key=f"{exam.id}:1")
    owned = Holdings.of(portal, [student])
    portal.sandbox.fault(path=CREDITS_PATH, times=3, **refusal(400))
    portal.sandbox.fault("cut_after", path=CREDITS_PATH, nth=4)

    assert cancel(desk.api, student, own.id).status == 200
    desk.wait_until_idle()

    assert last_entry().state == EntryState.DONE
    assert last_entry().answer["credit_restoration"]["new_balance"] == 6
    assert broken_promises(portal, [exam], [student], owned) == []
