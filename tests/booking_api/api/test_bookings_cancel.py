"""`DELETE /api/bookings/{id}`, as callers see it, over both portals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from booking_api.desk.journal.models import JournalEntry
from tests.api import Api
from tests.builders import Portal
from tests.desk import School, active_bookings, cancel, create, credit_of, stored_total
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_cancelled_seat_gives_back_its_credit_and_its_place(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(capacity=1)
    booked = create(school.api, alice, exam).data["booking_record_id"]

    reply = cancel(school.api, alice, booked, "ill")

    assert reply.status == 200, reply.body
    assert active_bookings(school.portal, exam) == []
    assert credit_of(school.portal, alice) == 5
    assert stored_total(school.portal, exam) == 0
    assert create(school.api, school.portal.student("charlie"), exam).status == 201


def test_the_answer_is_the_contracts(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam).data["booking_record_id"]

    reply = cancel(school.api, alice, booked, "ill")

    assert datetime.fromisoformat(reply.data.pop("cancelled_at")).tzinfo is not None
    assert reply.data == {
        "booking_id": f"{exam.mock_type}-S1001-{exam.day}",
        "status": "cancelled",
        "actions_completed": {
            "soft_delete": True,
            "note_created": True,
            "bookings_decremented": True,
            "credits_restored": True,
        },
        "credit_restoration": {
            "credit_type": school.portal.first_type.credit_property,
            "amount": 1,
            "new_balance": 5,
        },
        "reason": "ill",
    }


def test_without_a_reason_none_is_answered(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())

    assert "reason" not in cancel(api, alice, booking.id).data


@pytest.mark.parametrize(
    ("school", "kept"),
    [
        ("default", {"is_active": "false", "booking_status": "cancelled"}),
        ("prepdoctors", {"is_active": "Cancelled"}),
    ],
    indirect=["school"],
)
def test_the_booking_stays_and_is_marked(kept: dict[str, str], school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam, "key-1").data["booking_record_id"]

    cancel(school.api, alice, booked)

    stored = school.stored(booked)
    assert {name: stored[name] for name in kept} == kept
    assert stored["idempotency_key"] == "key-1"
    assert not stored["seat_key"]


def test_a_booking_made_elsewhere_is_cancelled_as_well(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(total_bookings=1)
    booking = school.portal.booking(alice, exam)

    reply = cancel(school.api, alice, booking.id)

    assert reply.data["credit_restoration"]["new_balance"] == 6
    assert stored_total(school.portal, exam) == 0


# Which credit -------------------------------------------------------------------------------------


def test_a_shared_credit_is_given_back_as_a_shared_one(their_api: Api, prepdoctors: Portal) -> None:
    balances = {"sj_credits": 0, "shared_mock_credits": 1}
    alice, exam = prepdoctors.student("alice", credits=balances), prepdoctors.exam()
    booked = create(their_api, alice, exam).data["booking_record_id"]

    restored = cancel(their_api, alice, booked).data["credit_restoration"]

    assert restored == {"credit_type": "shared_mock_credits", "amount": 1, "new_balance": 1}
    left = {name: credit_of(prepdoctors, alice, name) for name in balances}
    assert left == balances


@pytest.mark.parametrize(
    ("token_used", "credit"),
    [
        ("Shared Token", "shared_mock_credits"),
        ("Clinical Skills Token", "cs_credits"),
        (None, "sj_credits"),
    ],
)
def test_what_token_used_names_is_given_back(
    token_used: str | None, credit: str, their_api: Api, prepdoctors: Portal
) -> None:
    alice = prepdoctors.student("alice")
    booking = prepdoctors.booking(alice, prepdoctors.exam(), token_used=token_used)

    restored = cancel(their_api, alice, booking.id).data["credit_restoration"]

    assert (restored["credit_type"], restored["new_balance"]) == (credit, 6)
    assert credit_of(prepdoctors, alice, credit) == 6


def test_a_token_nobody_knows_gives_nothing_back(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam(), token_used="Voucher of 2019")

    data = cancel(api, alice, booking.id).data

    assert data["credit_restoration"] is None
    assert data["actions_completed"]["credits_restored"] is False
    assert credit_of(portal, alice) == 5


# Refused ------------------------------------------------------------------------------------------


def test_a_second_cancel_finds_it_cancelled_already(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booked = create(school.api, alice, exam).data["booking_record_id"]
    cancel(school.api, alice, booked)

    reply = cancel(school.api, alice, booked)

    assert (reply.status, reply.code) == (409, "ALREADY_CANCELED")
    assert credit_of(school.portal, alice) == 5


def test_another_students_booking_is_denied(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")
    booking = school.portal.booking(charlie, school.portal.exam())

    reply = cancel(school.api, alice, booking.id)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert credit_of(school.portal, alice) == credit_of(school.portal, charlie) == 5


def test_that_another_students_booking_was_cancelled_is_not_told(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")
    booking = school.portal.booking(charlie, school.portal.exam(), state="cancelled")

    assert cancel(school.api, alice, booking.id).code == "ACCESS_DENIED"


@pytest.mark.parametrize("id_", ["404404", "12a", "9" * 40])
def test_a_booking_that_is_not_there_is_not_found(id_: str, school: School) -> None:
    reply = cancel(school.api, school.portal.student("alice"), id_)

    assert (reply.status, reply.code) == (404, "BOOKING_NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/bookings", "/api/bookings/", "/api/bookings/%20"])
def test_a_blank_id_is_missing(path: str, api: Api, portal: Portal) -> None:
    body = orjson.dumps(portal.student("alice").pair)

    reply = api.send("DELETE", path, body=body)

    assert (reply.status, reply.code) == (400, "MISSING_BOOKING_ID")


@pytest.mark.parametrize("id_", [None, "404404", "no-number"])
def test_a_wrong_pair_is_told_so_before_anything_about_the_booking(
    id_: str | None, school: School
) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam())
    wrong = orjson.dumps(alice.pair | {"student_id": "S9999"})

    reply = school.api.send("DELETE", f"/api/bookings/{id_ or booking.id}", body=wrong)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert credit_of(school.portal, alice) == 5


def test_whoever_guesses_pairs_is_stopped(api: Api, portal: Portal, settings: Settings) -> None:
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_pairs": (1, 86_400)}
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    wrong = orjson.dumps(alice.pair | {"student_id": "S9999"})
    api.send("DELETE", f"/api/bookings/{booking.id}", body=wrong)

    reply = cancel(api, alice, booking.id)

    assert (reply.status, reply.code) == (429, "THROTTLED")
    assert credit_of(portal, alice) == 5


@pytest.mark.parametrize("what", ["over", "completed"])
def test_an_exam_that_was_sat_gives_nothing_back(
    what: str, their_api: Api, prepdoctors: Portal
) -> None:
    alice = prepdoctors.student("alice")
    if what == "over":
        booking = prepdoctors.booking(alice, prepdoctors.exam(in_days=-1))
    else:
        booking = prepdoctors.booking(alice, prepdoctors.exam(), state="completed")

    reply = cancel(their_api, alice, booking.id)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert credit_of(prepdoctors, alice) == 5


def test_the_booking_of_an_exam_that_is_gone_can_be_cancelled(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    booking = school.portal.booking(alice, exam)
    school.portal.archive(exam)

    data = cancel(school.api, alice, booking.id).data

    assert data["actions_completed"]["bookings_decremented"] is False
    assert credit_of(school.portal, alice) == 6


# What is sent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "VALIDATION_ERROR"),
        (b"{}", "VALIDATION_ERROR"),
        (b"[1]", "VALIDATION_ERROR"),
        (b"null", "VALIDATION_ERROR"),
        (b'{"student_id": "S1001"}', "VALIDATION_ERROR"),
        (b'{"student_id":', "MALFORMED_JSON"),
        (b"student_id=S1001", "MALFORMED_JSON"),
    ],
)
def test_a_body_that_says_nothing_sensible_is_refused(
    body: bytes, code: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())

    reply = api.send("DELETE", f"/api/bookings/{booking.id}", body=body)

    assert (reply.status, reply.code) == (400, code)
    assert reply.body["success"] is False
    assert reply.body["request_id"] == reply.headers["X-Request-ID"]
    assert JournalEntry.objects.count() == 0


@pytest.mark.parametrize("reason", ["r" * 501, ["ill"], {"why": "ill"}])
def test_a_reason_is_a_text_of_at_most_500(reason: Any, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())

    body = orjson.dumps({**alice.pair, "reason": reason})
    reply = api.send("DELETE", f"/api/bookings/{booking.id}", body=body)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.body["validationErrors"][0].startswith("reason:")
    assert cancel(api, alice, booking.id, "r" * 500).status == 200


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_no_reason_may_be_said_in_any_way(reason: str | None, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())

    body = orjson.dumps({**alice.pair, "reason": reason})
    reply = api.send("DELETE", f"/api/bookings/{booking.id}", body=body)

    assert "reason" not in reply.data


# What is seen afterwards --------------------------------------------------------------------------


def test_the_very_next_reads_show_it_cancelled(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(capacity=4)
    booked = create(school.api, alice, exam).data["booking_record_id"]
    detail = f"/api/bookings/{booked}"
    assert school.read_through_api(alice, exam) == ([(booked, "scheduled", 1)], 4, (3, 1))
    assert school.api.get(detail, **alice.pair).data["booking"]["status"] == "scheduled"

    cancel(school.api, alice, booked)

    assert school.read_through_api(alice, exam) == ([(booked, "cancelled", 0)], 5, (4, 0))
    assert school.api.get(detail, **alice.pair).data["booking"]["status"] == "cancelled"


def test_a_note_tells_why_with_the_students_words_escaped(school: School) -> None:
    alice = school.portal.student("alice")
    booking = school.portal.booking(alice, school.portal.exam())

    cancel(school.api, alice, booking.id, "<script>alert(1)</script> & flu")

    eventually(lambda: len(school.notes) == 1)
    body = school.notes[0]["hs_note_body"]
    assert "Mock exam cancelled" in body
    assert booking.booking_id in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; flu" in body
    assert "<script" not in body
