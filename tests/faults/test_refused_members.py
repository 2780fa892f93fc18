"""One member of a group is refused by HubSpot: it is told why, the others are served."""

from __future__ import annotations

from functools import partial

import pytest

from tests.builders import Exam, Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest
from tests.faults.tables import BOOKINGS
from tests.faults.world import Holdings, broken_promises, seats

pytestmark = pytest.mark.django_db(transaction=True)


def three_students(portal: Portal) -> list[Student]:
    return [portal.student(name, credits=4) for name in ("ann", "ben", "cleo")]


def demand_pattern(portal: Portal, object_type: str, name: str, pattern: str) -> None:
    """What an administrator demands of a property."""
    rules = [{"object_type": object_type, "property": name, "pattern": pattern}]
    portal.sandbox.configure(validation_rules=rules)


def test_a_booking_that_breaks_a_rule_is_refused_alone(desk: DeskUnderTest, portal: Portal) -> None:
    students, exam = three_students(portal), portal.exam(capacity=3)
    owned = Holdings.of(portal, students)
    demand_pattern(portal, portal.profile.object_types.bookings, "name", "(?!Ben).*")

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exam) for one in students])
    desk.wait_until_idle()

    first, second, third = group.wait_for_replies()
    assert [first.status, second.status, third.status] == [201, 400, 201]
    assert second.code == "VALIDATION_ERROR"
    assert "name" in str(second.body), second.body
    assert broken_promises(portal, [exam], students, owned) == []


def test_who_was_refused_is_sent_apart_the_next_time(desk: DeskUnderTest, portal: Portal) -> None:
    """By whom the booking is made for: its trace id is another one."""
    names = ("ann", "cleo", "dan", "ben", "eve", "finn", "gus", "hal")
    students = [portal.student(name, credits=4) for name in names]
    exams = [portal.exam(in_days=day, capacity=8) for day in (3, 4)]
    demand_pattern(portal, portal.profile.object_types.bookings, "name", "(?!Ben).*")
    created: list[int] = []

    for exam in exams:
        portal.sandbox.clear_calls()
        with desk.held_up():
            group = desk.begin([partial(create, desk.api, one, exam) for one in students])
        desk.wait_until_idle()
        statuses = [reply.status for reply in group.wait_for_replies()]
        assert statuses == [400 if name == "ben" else 201 for name in names]
        calls = portal.sandbox.calls("objects.batch_create")
        bookings = portal.profile.object_types.bookings
        created.append(sum(call["object_type"] == bookings for call in calls))

    assert created[0] > 3
    assert created[1] == 2


def test_a_count_that_breaks_a_rule_is_written_when_it_may_be(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam, other = three_students(portal), portal.exam(capacity=3), portal.exam(capacity=3)
    owned = Holdings.of(portal, students)
    demand_pattern(portal, portal.profile.object_types.mock_exams, "total_bookings", "[013]")

    with desk.held_up():
        deeds = [partial(create, desk.api, one, exam) for one in students[:2]]
        group = desk.begin([*deeds, partial(create, desk.api, students[2], other)])
    replies = group.wait_for_replies()
    portal.sandbox.configure(validation_rules=[])
    desk.wait_until_idle()

    assert [reply.status for reply in replies] == [201, 201, 201]
    assert broken_promises(portal, [exam, other], students, owned) == []


def hold_seat(portal: Portal, exam: Exam, number: int, active: str) -> None:
    """Make a booking that has a seat's key, and that no list of the exam's bookings shows."""
    names = portal.profile.booking_properties
    key = {names["seat_key"]: f"{exam.id}:{number}", names["is_active"]: active}
    portal.sandbox.create(portal.profile.object_types.bookings, key)


def test_who_is_refused_a_seat_gets_the_next_one(desk: DeskUnderTest, portal: Portal) -> None:
    """The exam has exactly as many seats as students ask; one seat's key is taken."""
    students, exam = three_students(portal), portal.exam(capacity=3)
    owned = Holdings.of(portal, students)
    hold_seat(portal, exam, 2, active="false")

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exam) for one in students])
    desk.wait_until_idle()

    assert [reply.status for reply in group.wait_for_replies()] == [201, 201, 201]
    assert broken_promises(portal, [exam], students, owned) == []


def test_a_seat_is_not_sold_again_because_nothing_lists_it(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Whatever HubSpot shows of links, the key of an active booking's seat is the last fence."""
    students, exam = three_students(portal), portal.exam(capacity=3)
    hold_seat(portal, exam, 2, active="true")

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exam) for one in students])
    desk.wait_until_idle()

    first, second, third = group.wait_for_replies()
    assert [first.status, second.code, third.status] == [201, "EXAM_FULL", 201]
    assert credit_of(portal, students[1]) == 4


def test_a_student_deleted_while_waiting_is_refused_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam(capacity=3)
    owned = Holdings.of(portal, [students[0], students[2]])

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exam) for one in students])
        portal.archive(students[1])
    desk.wait_until_idle()

    assert [reply.status for reply in group.wait_for_replies()] == [201, 401, 201]
    assert broken_promises(portal, [exam], [students[0], students[2]], owned) == []


@pytest.mark.parametrize(
    ("gone", "code"), [("student", "CONTACT_NOT_FOUND"), ("exam", "EXAM_NOT_FOUND")]
)
def test_what_was_archived_before_the_create_is_named(
    desk: DeskUnderTest, portal: Portal, gone: str, code: str
) -> None:
    student, exam = portal.student("ann", credits=4), portal.exam(capacity=1)
    with desk.stuck(f"/{BOOKINGS}/batch/create") as call:
        group = desk.begin_one(partial(create, desk.api, student, exam))
        call.wait_for_it()
        portal.archive(student if gone == "student" else exam)
        call.go_on()
        (reply,) = group.wait_for_replies()

    assert (reply.status, reply.code) == (404, code)
    assert portal.sandbox.records(BOOKINGS) == []


def test_a_booking_deleted_while_its_cancel_waits_is_refused_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(capacity=3, total_bookings=3)
    students = three_students(portal)
    own = [portal.booking(one, exam) for one in students]
    owned = Holdings.of(portal, [students[0], students[2]])

    with desk.held_up():
        deeds = [partial(cancel, desk.api, one.student, one.id) for one in own]
        group = desk.begin(deeds)
        portal.archive(own[1])
    desk.wait_until_idle()

    assert [reply.status for reply in group.wait_for_replies()] == [200, 404, 200]
    assert seats(portal) == []
    assert broken_promises(portal, [exam], [students[0], students[2]], owned) == []
