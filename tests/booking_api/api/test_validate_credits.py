"""`POST /api/mock-exams/validate-credits`."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Portal

VALIDATE = "/api/mock-exams/validate-credits"


def test_a_student_with_credits_may_book(api: Api, portal: Portal) -> None:
    alice = portal.student("alice", credits={"credits_clinical": 3, "credits_osce": 0})

    assert api.post(VALIDATE, mock_type="clinical", **alice.pair).data == {
        "eligible": True,
        "available_credits": 3,
        "credit_breakdown": {"specific_credits": 3, "shared_credits": 0},
        "contact_id": alice.id,
        "enrollment_id": None,
        "student_name": "Alice Moreau",
    }


def test_a_student_without_credits_is_told_why_not(api: Api, portal: Portal) -> None:
    bob = portal.student("bob")

    data = api.post(VALIDATE, mock_type="clinical", **bob.pair).data

    assert data["eligible"] is False
    assert data["error_message"] == "No credits left for clinical."


def test_a_student_id_nobody_has_is_not_found(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")

    reply = api.post(VALIDATE, mock_type="clinical", student_id="S9999", email=alice.email)

    assert (reply.status, reply.code) == (404, "STUDENT_NOT_FOUND")


@pytest.mark.parametrize("email", ["nobody@example.org", "charlie.novak.s1003@example.org"])
def test_an_e_mail_that_is_not_the_students_is_a_mismatch(
    email: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.student("charlie")

    reply = api.post(VALIDATE, mock_type="clinical", student_id=alice.student_id, email=email)

    assert (reply.status, reply.code) == (400, "EMAIL_MISMATCH")


@pytest.mark.parametrize(
    "changes", [{"mock_type": "ballet"}, {"email": 7}, {"student_id": ["S1001"]}, {"email": None}]
)
def test_a_body_that_makes_no_sense_is_refused(
    changes: dict[str, object], api: Api, portal: Portal
) -> None:
    body: dict[str, object] = {"mock_type": "clinical", **portal.student("alice").pair}

    reply = api.post(VALIDATE, **body | changes)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")


def test_shared_credits_count_where_the_type_may_use_them(
    their_api: Api, prepdoctors: Portal
) -> None:
    credits_ = {"cs_credits": 0, "sjmini_credits": 0, "shared_mock_credits": 2}
    alice = prepdoctors.student("alice", credits=credits_)
    enrollment = prepdoctors.enrollment(alice)
    prepdoctors.enrollment(alice, enrollment_status="Dropped")
    prepdoctors.sandbox.advance(60)

    skills = their_api.post(VALIDATE, mock_type="Clinical Skills", **alice.pair).data
    mini = their_api.post(VALIDATE, mock_type="Mini-mock", **alice.pair).data

    assert skills["credit_breakdown"] == {"specific_credits": 0, "shared_credits": 2}
    assert (skills["eligible"], skills["enrollment_id"]) == (True, f"ENR-{enrollment}")
    assert (mini["eligible"], mini["available_credits"]) == (False, 0)
