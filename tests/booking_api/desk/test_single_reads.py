"""A booking that one student cancels or changes is read alone, with its links, where HubSpot tells
those; where it does not, nothing but the number of calls is another."""

from __future__ import annotations

import pytest

from booking_api.desk.journal.models import RecountRequest
from tests.builders import Booking, Student
from tests.desk import School, cancel, create, credit_of, stored_total, update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]

ALONE, TOGETHER = "objects.read", "objects.batch_read"


def booked(school: School, name: str = "alice", others: int = 2) -> tuple[Student, Booking]:
    exam, _ = school.portal.exam_with_bookings(others)
    student = school.portal.student(name)
    return student, school.portal.booking(student, exam)


def reads_alone(school: School) -> int:
    bookings = school.portal.profile.object_types.bookings
    calls = school.portal.sandbox.calls(ALONE)
    return sum(call["object_type"] == bookings for call in calls)


def refuse_alone(school: School, status: int) -> None:
    path = f"/{school.portal.profile.object_types.bookings}/"
    school.portal.sandbox.fault("status", method="GET", path=path, status=status)


def assert_cancelled(school: School, student: Student, booking: Booking) -> None:
    assert credit_of(school.portal, student) == student.credits[first_credit(school)] + 1
    assert stored_total(school.portal, booking.exam) == 2


def first_credit(school: School) -> str:
    return school.portal.first_type.credit_property


def test_a_booking_is_read_with_its_links(school: School) -> None:
    student, booking = booked(school)
    school.portal.sandbox.clear_calls()

    assert cancel(school.api, student, booking.id).status == 200

    assert reads_alone(school) == 1
    assert_cancelled(school, student, booking)


def test_links_that_are_not_told_are_asked_for_and_next_time_together(school: School) -> None:
    school.portal.sandbox.configure(reads_tell_links=False)
    first, second = booked(school), booked(school, "bob")
    school.portal.sandbox.clear_calls()

    for student, booking in (first, second):
        assert cancel(school.api, student, booking.id).status == 200
        assert_cancelled(school, student, booking)

    assert reads_alone(school) == 1


@pytest.mark.parametrize("status", [400, 403, 501])
def test_a_read_that_is_refused_is_made_the_other_way(school: School, status: int) -> None:
    student, booking = booked(school)
    refuse_alone(school, status)

    assert cancel(school.api, student, booking.id).status == 200

    assert_cancelled(school, student, booking)


@pytest.mark.parametrize("kind", ["bookings", "mock_exams"])
def test_a_read_without_an_answer_decides_nothing(school: School, kind: str) -> None:
    student, booking = booked(school)
    path = f"/{getattr(school.portal.profile.object_types, kind)}/"
    school.portal.sandbox.fault("status", method="GET", path=path, status=502)

    reply = cancel(school.api, student, booking.id)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert credit_of(school.portal, student) == student.credits[first_credit(school)]
    assert school.portal.sandbox.calls("objects.batch_update") == []


def test_links_of_several_pages_are_read_to_the_end(school: School) -> None:
    student, booking = booked(school)
    parent = school.portal.student("bob")
    types = school.portal.profile.object_types
    school.portal.sandbox.associate(types.bookings, booking.id, types.contacts, parent.id)
    school.portal.sandbox.configure(association_page=1)

    assert cancel(school.api, parent, booking.id).code == "ACCESS_DENIED"
    assert cancel(school.api, student, booking.id).status == 200

    assert_cancelled(school, student, booking)


def test_a_booking_without_links_is_its_students_by_its_names(school: School) -> None:
    student, booking = booked(school)
    types = school.portal.profile.object_types
    school.portal.sandbox.dissociate(types.bookings, booking.id, types.contacts, student.id)
    school.portal.sandbox.dissociate(types.bookings, booking.id, types.mock_exams, booking.exam.id)

    answer = cancel(school.api, student, booking.id)

    assert answer.status == 200
    assert not answer.data["actions_completed"]["bookings_decremented"]


def test_an_exam_of_many_bookings_is_counted_to_the_last(school: School) -> None:
    """A hundred links may not be all that there are."""
    exam, _ = school.portal.exam_with_bookings(101)
    student = school.portal.student("alice")
    booking = school.portal.booking(student, exam)

    assert cancel(school.api, student, booking.id).status == 200

    assert stored_total(school.portal, exam) == 101


@pytest.mark.parametrize("status", [400, 403, 501])
def test_an_exam_whose_read_is_refused_is_read_the_other_way(school: School, status: int) -> None:
    student, booking = booked(school)
    path = f"/{school.portal.profile.object_types.mock_exams}/"
    school.portal.sandbox.fault("status", method="GET", path=path, status=status)

    assert cancel(school.api, student, booking.id).status == 200

    assert_cancelled(school, student, booking)


def test_states_that_cannot_be_read_are_counted_later_and_are_no_zero(school: School) -> None:
    student, booking = booked(school)
    before = stored_total(school.portal, booking.exam)
    path = f"/{school.portal.profile.object_types.bookings}/batch/read"
    school.portal.sandbox.fault("status", path=path, status=503)

    assert cancel(school.api, student, booking.id).status == 200

    assert credit_of(school.portal, student) == student.credits[first_credit(school)] + 1
    assert stored_total(school.portal, booking.exam) == before
    assert RecountRequest.objects.filter(subject_id=booking.exam.id).exists()


def test_a_booking_of_ours_that_is_not_shown_yet_is_counted(school: School) -> None:
    exam = school.portal.exam()
    alice, other = school.portal.student("alice"), school.portal.student("charlie")
    booked = [create(school.api, each, exam).data["booking_record_id"] for each in (alice, other)]
    types = school.portal.profile.object_types
    school.portal.sandbox.dissociate(types.bookings, booked[1], types.mock_exams, exam.id)

    assert cancel(school.api, alice, booked[0]).status == 200

    assert stored_total(school.portal, exam) == 1


def test_what_is_not_there_is_not_found(school: School) -> None:
    student, _ = booked(school)

    assert cancel(school.api, student, "404").code == "BOOKING_NOT_FOUND"


def test_a_change_reads_its_booking_alone_too(school: School) -> None:
    student, booking = booked(school)
    school.portal.sandbox.clear_calls()

    assert update(school.api, student, booking.id, attending_location="calgary").status == 200

    assert reads_alone(school) == 1
