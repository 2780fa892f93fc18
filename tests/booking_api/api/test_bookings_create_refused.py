"""`POST /api/bookings/create` refused: each reason there is, and that nothing is sold then."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from booking_api.desk.journal.models import OutboxNote
from tests.api import Api
from tests.builders import Exam, Portal, Student
from tests.desk import School, active_bookings, create, credit_of, stored_total

pytestmark = pytest.mark.django_db(transaction=True)


def assert_nothing_was_sold(school: School, exam: Exam, student: Student, credit: int) -> None:
    assert active_bookings(school.portal, exam) == []
    assert credit_of(school.portal, student) == credit
    assert OutboxNote.objects.count() == 0


# The exam -----------------------------------------------------------------------------------------


def test_a_full_exam_refuses_the_next_student(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(2, capacity=2)
    alice = school.portal.student("alice")

    reply = create(school.api, alice, exam)

    assert (reply.status, reply.code) == (400, "EXAM_FULL")
    assert credit_of(school.portal, alice) == 5


def test_a_full_exam_is_told_by_its_bookings_and_not_by_its_count(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(1, capacity=2, total_bookings=2)

    assert create(school.api, school.portal.student("alice"), exam).status == 201
    assert stored_total(school.portal, exam) == 2
    assert create(school.api, school.portal.student("charlie"), exam).code == "EXAM_FULL"


def test_an_exam_that_was_closed_cannot_be_booked(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(active=False)

    reply = create(school.api, alice, exam)

    assert (reply.status, reply.code) == (400, "EXAM_NOT_ACTIVE")
    assert_nothing_was_sold(school, exam, alice, credit=5)


@pytest.mark.parametrize(
    "when",
    [{"in_days": -1}, {"in_days": 0, "start": time(0), "end": time(0, 1)}],
    ids=["yesterday", "this-morning"],
)
def test_an_exam_that_is_over_cannot_be_booked(when: dict[str, Any], school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(**when)

    reply = create(school.api, alice, exam)

    assert (reply.status, reply.code) == (400, "EXAM_NOT_ACTIVE")
    assert_nothing_was_sold(school, exam, alice, credit=5)


@pytest.mark.parametrize("wrong", ["date", "type"])
def test_a_date_or_a_type_that_is_not_the_exams_is_a_mismatch(wrong: str, school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    other_type = school.portal.profile.mock_types[-1].value
    changes = {
        "date": {"exam_date": (exam.day + timedelta(days=1)).isoformat()},
        "type": {"mock_type": other_type},
    }

    reply = create(school.api, alice, exam, **changes[wrong])

    assert (reply.status, reply.code) == (400, "EXAM_MISMATCH")
    assert_nothing_was_sold(school, exam, alice, credit=5)


@pytest.mark.parametrize("archived", [True, False], ids=["archived", "never-there"])
def test_an_exam_that_is_not_there_is_not_found(archived: bool, school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    if archived:
        school.portal.archive(exam)
    exam_id = exam.id if archived else "404404"

    reply = create(school.api, alice, exam, mock_exam_id=exam_id)

    assert (reply.status, reply.code) == (404, "EXAM_NOT_FOUND")


@pytest.mark.parametrize("balance", [0, -2])
def test_whoever_has_no_credit_books_nothing(balance: int, school: School) -> None:
    bob, exam = school.portal.student("bob", credits=balance), school.portal.exam()

    reply = create(school.api, bob, exam)

    assert (reply.status, reply.code) == (400, "INSUFFICIENT_CREDITS")
    assert_nothing_was_sold(school, exam, bob, credit=balance)


# The student --------------------------------------------------------------------------------------


def test_a_second_booking_of_the_same_exam_is_a_duplicate(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    create(school.api, alice, exam)

    reply = create(school.api, alice, exam, "key-2")

    assert (reply.status, reply.code) == (400, "DUPLICATE_BOOKING")
    assert len(active_bookings(school.portal, exam)) == 1
    assert credit_of(school.portal, alice) == 4


def test_another_exam_of_the_same_type_and_day_is_a_duplicate(school: School) -> None:
    alice, morning = school.portal.student("alice"), school.portal.exam()
    afternoon = school.portal.exam(start=time(14), end=time(18))
    school.portal.booking(alice, morning)

    reply = create(school.api, alice, afternoon)

    assert (reply.status, reply.code) == (400, "DUPLICATE_BOOKING")
    assert_nothing_was_sold(school, afternoon, alice, credit=5)


def test_another_type_or_another_day_is_none(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    other_type = school.portal.exam(mock_type=school.portal.profile.mock_types[1].value)
    other_day = school.portal.exam(in_days=8)

    assert [create(school.api, alice, one).status for one in (exam, other_type, other_day)] == [
        201,
        201,
        201,
    ]


def test_a_cancelled_booking_is_none(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    school.portal.booking(alice, exam, state="cancelled")

    assert create(school.api, alice, exam).status == 201


def test_a_wrong_pair_is_told_so_and_nothing_else(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()

    reply = create(school.api, alice, exam, student_id="S9999")

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert_nothing_was_sold(school, exam, alice, credit=5)


def test_nobody_books_on_another_students_contact(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")
    exam = school.portal.exam()

    reply = create(school.api, alice, exam, contact_id=charlie.id)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert credit_of(school.portal, charlie) == 5
    assert_nothing_was_sold(school, exam, alice, credit=5)


def test_a_contact_that_is_not_there_is_not_found(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()

    reply = create(school.api, alice, exam, contact_id="404404")

    assert (reply.status, reply.code) == (404, "CONTACT_NOT_FOUND")


def test_a_wrong_pair_with_somebodys_contact_learns_nothing_of_it(school: School) -> None:
    alice, charlie = school.portal.student("alice"), school.portal.student("charlie")

    replies = [
        create(school.api, alice, school.portal.exam(), student_id="S9", contact_id=contact_id)
        for contact_id in (charlie.id, "404404")
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(401, "AUTH_FAILED")}


def test_an_e_mail_may_be_spelt_in_any_case(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()

    reply = create(school.api, alice, exam, email=alice.email.upper())

    assert school.stored(reply.data["booking_record_id"])["email"] == alice.email


def test_whoever_guesses_pairs_is_stopped_before_the_desk(
    api: Api, portal: Portal, settings: Settings
) -> None:
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_pairs": (2, 86_400)}
    alice, exam = portal.student("alice"), portal.exam()
    wrong = [create(api, alice, exam, student_id=f"S{number}").code for number in range(2)]
    portal.sandbox.clear_calls()

    stopped = create(api, alice, exam)

    assert wrong == ["AUTH_FAILED", "AUTH_FAILED"]
    assert (stopped.status, stopped.code) == (429, "THROTTLED")
    assert int(stopped.headers["Retry-After"]) == stopped.body["retryAfter"] > 0
    assert portal.sandbox.calls_count() == 0


def test_one_student_writes_so_often_and_others_are_not_stopped(
    api: Api, portal: Portal, settings: Settings
) -> None:
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"writes": (1, 86_400)}
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()

    codes = [create(api, student, exam).status for student in (alice, alice, charlie)]

    assert codes == [201, 429, 201]


# HubSpot in trouble -------------------------------------------------------------------------------


def test_a_hubspot_that_cannot_be_read_sells_nothing(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    school.portal.sandbox.fault("status", path="associations", status=500)

    reply = create(school.api, alice, exam, "key-1")

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert reply.body["retryAfter"] == int(reply.headers["Retry-After"]) > 0
    assert reply.body["idempotency_key"] == "key-1"
    school.portal.sandbox.clear_faults()
    assert_nothing_was_sold(school, exam, alice, credit=5)
