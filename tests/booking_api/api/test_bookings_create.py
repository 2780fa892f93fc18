"""`POST /api/bookings/create`: what a seat costs, what HubSpot is given and what callers see."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from pytest_django import Settings

from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import JournalEntry
from tests.api import Api
from tests.builders import Portal
from tests.desk import School, active_bookings, create, credit_of, stored_total
from tests.faults.groups import running_desk
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_seat_is_booked_charged_and_counted(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(capacity=10)

    reply = create(school.api, alice, exam, "key-1")

    assert reply.status == 201, reply.body
    assert len(active_bookings(school.portal, exam)) == 1
    assert credit_of(school.portal, alice) == 4
    assert stored_total(school.portal, exam) == 1


def test_the_answer_is_the_contracts(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    credit = school.portal.first_type.credit_property
    shared = 5 if school.portal.first_type.shared_credit_property else 0

    reply = create(school.api, alice, exam, "key-1")

    record_id = reply.data.pop("booking_record_id")
    message = reply.data.pop("confirmation_message")
    assert school.stored(record_id)["idempotency_key"] == "key-1"
    assert reply.body["message"] == message
    assert exam.mock_type in message
    assert reply.body["success"] is True
    assert reply.data == {
        "booking_id": f"{exam.mock_type}-S1001-{exam.day}",
        "idempotency_key": "key-1",
        "exam_details": {
            "mock_exam_id": exam.id,
            "exam_date": exam.day.isoformat(),
            "mock_type": exam.mock_type,
            "location": "Mississauga",
        },
        "credit_details": {
            "credit_field_deducted": credit,
            "remaining_credits": 4,
            "credit_breakdown": {
                "specific_credits_before_deduction": 5,
                "shared_credits_before_deduction": shared,
                "used_field": credit,
            },
        },
        "associations": {
            "results": [
                {"type": "contact", "success": True},
                {"type": "mock_exam", "success": True},
            ],
            "warnings": [],
            "critical_success": True,
        },
    }


def test_what_the_default_portal_is_given(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()

    record_id = create(api, alice, exam, "key-1", name="Alice M.").data["booking_record_id"]

    stored = School(api, portal).stored(record_id)
    assert stored.pop("created_at").startswith(str(JournalEntry.objects.get().arrived_at)[:10])
    assert own(stored) == {
        "booking_id": f"clinical-S1001-{exam.day}",
        "name": "Alice M.",
        "email": alice.email,
        "student_id": "S1001",
        "booking_date": exam.day.isoformat(),
        "is_active": "true",
        "booking_status": "confirmed",
        "contact_id": alice.id,
        "mock_exam_id": exam.id,
        "token_used": "Clinical Token",
        "idempotency_key": "key-1",
        "seat_key": f"{exam.id}:1",
    }


@pytest.mark.parametrize(
    ("mock_type", "sent", "kept", "token"),
    [
        (
            "Situational Judgment",
            {"attending_location": "richmond_hill"},
            {"attending_location": "Richmond Hill"},
            "Situational Judgment Token",
        ),
        (
            "Clinical Skills",
            {"dominant_hand": False},
            {"dominant_hand": "false"},
            "Clinical Skills Token",
        ),
        (
            "Mini-mock",
            {"attending_location": "calgary"},
            {"attending_location": "Calgary"},
            "Mini-mock Token",
        ),
    ],
)
def test_what_the_other_portal_is_given(
    mock_type: str,
    sent: dict[str, Any],
    kept: dict[str, str],
    token: str,
    their_api: Api,
    prepdoctors: Portal,
) -> None:
    alice, exam = prepdoctors.student("alice"), prepdoctors.exam(mock_type=mock_type)

    record_id = create(their_api, alice, exam, "key-1", **sent).data["booking_record_id"]

    stored = School(their_api, prepdoctors).stored(record_id)
    assert stored.pop("created_at") is not None
    assert own(stored) == {
        "booking_id": f"{mock_type}-S1001-{exam.day}",
        "name": "Alice Moreau",
        "email": alice.email,
        "student_id": "S1001",
        "mock_type": mock_type,
        "exam_date": exam.day.isoformat(),
        "is_active": "Active",
        "token_used": token,
        "idempotency_key": "key-1",
        "seat_key": f"{exam.id}:1",
        **kept,
    }


def own(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties without HubSpot's own and those never set."""
    return {
        name: value
        for name, value in properties.items()
        if value is not None and not name.startswith("hs_")
    }


def test_a_booking_is_linked_to_its_contact_and_its_exam(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    record_id = create(school.api, alice, exam).data["booking_record_id"]

    detail = school.api.get(f"/api/bookings/{record_id}", **alice.pair).data

    assert detail["mock_exam"]["id"] == exam.id
    assert detail["contact"]["id"] == alice.id


def test_a_key_is_made_where_none_is_sent(api: Api, portal: Portal) -> None:
    exam = portal.exam()

    keys = {create(api, portal.student(name), exam).data["idempotency_key"] for name in "ab"}

    assert len(keys) == 2
    assert all(len(key) >= 32 for key in keys)


# Credits ------------------------------------------------------------------------------------------


def test_a_shared_credit_is_spent_where_no_specific_one_is_left(
    their_api: Api, prepdoctors: Portal
) -> None:
    balances = {"sj_credits": 0, "cs_credits": 3, "sjmini_credits": 3, "shared_mock_credits": 2}
    alice, exam = prepdoctors.student("alice", credits=balances), prepdoctors.exam()

    data = create(their_api, alice, exam).data

    assert data["credit_details"] == {
        "credit_field_deducted": "shared_mock_credits",
        "remaining_credits": 1,
        "credit_breakdown": {
            "specific_credits_before_deduction": 0,
            "shared_credits_before_deduction": 2,
            "used_field": "shared_mock_credits",
        },
    }
    stored = School(their_api, prepdoctors).stored(data["booking_record_id"])
    assert stored["token_used"] == "Shared Token"
    left = {name: credit_of(prepdoctors, alice, name) for name in balances}
    assert left == balances | {"shared_mock_credits": 1}


def test_what_is_left_is_said_of_the_credit_as_it_was_when_it_was_charged(
    settings: Settings, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    types, credit = portal.profile.object_types, portal.first_type.credit_property
    portal.sandbox.fault("status", path=f"{types.contacts}/batch/update", status=503)
    with running_desk(settings, portal.sandbox, DeskConfig(late_write_s=0)) as desk:
        unknown = desk.outlast_turn(partial(create, desk.api, alice, exam, "key-1"))
        portal.sandbox.edit(types.contacts, alice.id, **{credit: "9"})
        portal.sandbox.clear_faults()
        eventually(lambda: credit_of(portal, alice) == 8)
        eventually(lambda: create(desk.api, alice, exam, "key-1").status == 200)
        replay = create(desk.api, alice, exam, "key-1")

    assert (unknown.status, unknown.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert replay.data["credit_details"]["remaining_credits"] == 8


def test_a_mini_mock_cannot_be_paid_with_shared_credits(
    their_api: Api, prepdoctors: Portal
) -> None:
    alice = prepdoctors.student("alice", credits={"sjmini_credits": 0, "shared_mock_credits": 9})

    reply = create(their_api, alice, prepdoctors.exam(mock_type="Mini-mock"))

    assert (reply.status, reply.code) == (400, "INSUFFICIENT_CREDITS")
    assert credit_of(prepdoctors, alice, "shared_mock_credits") == 9


# What is seen afterwards --------------------------------------------------------------------------


def test_the_very_next_reads_show_the_booking(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(capacity=4)
    assert school.read_through_api(alice, exam) == ([], 5, (4, 0))

    record_id = create(school.api, alice, exam).data["booking_record_id"]

    assert school.read_through_api(alice, exam) == ([(record_id, "scheduled", 1)], 4, (3, 1))


def test_a_note_is_put_on_the_students_timeline(school: School) -> None:
    alice = school.portal.student("alice")
    exam = school.portal.exam(location="<b>Ontario</b> & Sons")

    create(school.api, alice, exam)

    eventually(lambda: len(school.notes) == 1)
    body = school.notes[0]["hs_note_body"]
    assert "Mock exam booked" in body
    assert f"{exam.mock_type}-S1001-{exam.day}" in body
    assert "&lt;b&gt;Ontario&lt;/b&gt; &amp; Sons" in body
    assert "<b>Ontario" not in body
