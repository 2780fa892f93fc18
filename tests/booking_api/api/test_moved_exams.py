"""An exam that people change takes its bookings along: its own day and type decide, not the copies
on the bookings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api.desk.journal.models import OutboxNote
from hubspot_sync.config import ApiVersion
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.builders import Exam, Portal, Student
from tests.desk import School, cancel, create, credit_of, update
from tests.sandbox import SandboxHandle
from tests.webhooks import Events, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


def change(school: School, exam: Exam, **fields: str) -> None:
    """Change an exam as a person does, by our names, with the webhook lost: nothing is cached."""
    names = school.portal.profile.exam_properties
    stored = {names[field]: value for field, value in fields.items()}
    school.portal.sandbox.edit(school.portal.profile.object_types.mock_exams, exam.id, **stored)


def move(school: School, exam: Exam, to: Exam) -> None:
    """Move an exam to another's day."""
    times = {"exam_date": to.day.isoformat(), "start_time": to.start_time, "end_time": to.end_time}
    change(school, exam, **times)


def upcoming(school: School, student: Student) -> list[dict[str, Any]]:
    asked = {**student.pair, "filter": "upcoming"}
    bookings: list[dict[str, Any]] = school.api.get("/api/bookings/list", **asked).data["bookings"]
    return bookings


def made_here(school: School, student: Student, exam: Exam) -> str:
    record_id: str = create(school.api, student, exam).data["booking_record_id"]
    return record_id


def imported(school: School, student: Student, exam: Exam) -> str:
    return school.portal.booking(student, exam).id


ORIGINS = pytest.mark.parametrize("book", [made_here, imported])


@ORIGINS
def test_the_day_an_exam_was_moved_to_is_taken_and_the_day_it_left_is_free(
    book: Any, school: School
) -> None:
    alice = school.portal.student("alice")
    moved, there, left = (school.portal.exam(in_days=days) for days in (5, 8, 5))
    booked = book(school, alice, moved)
    move(school, moved, there)

    assert create(school.api, alice, there).code == "DUPLICATE_BOOKING"
    assert create(school.api, alice, left).status == 201
    assert [each["exam_date"] for each in upcoming(school, alice)] == [
        left.day.isoformat(),
        there.day.isoformat(),
    ]
    assert cancel(school.api, alice, booked).status == 200
    assert create(school.api, alice, there).status == 201


@ORIGINS
def test_an_exam_of_another_type_now_takes_that_types_place(book: Any, school: School) -> None:
    alice = school.portal.student("alice")
    first, second = school.portal.profile.mock_types[:2]
    changed, same, other = (
        school.portal.exam(mock_type=kind.value) for kind in (first, first, second)
    )
    book(school, alice, changed)
    change(school, changed, mock_type=second.value)

    assert create(school.api, alice, other).code == "DUPLICATE_BOOKING"
    assert create(school.api, alice, same).status == 201


@ORIGINS
def test_an_exam_that_is_gone_leaves_the_copies_to_decide(book: Any, school: School) -> None:
    alice = school.portal.student("alice")
    gone, same_day = school.portal.exam(), school.portal.exam()
    book(school, alice, gone)
    school.portal.archive(gone)

    assert create(school.api, alice, same_day).code == "DUPLICATE_BOOKING"


@ORIGINS
def test_two_bookings_on_one_day_after_a_move_both_stay(book: Any, school: School) -> None:
    alice = school.portal.student("alice")
    moved, there = school.portal.exam(in_days=5), school.portal.exam(in_days=8)
    booked = [book(school, alice, moved), book(school, alice, there)]
    credits_left = credit_of(school.portal, alice)
    move(school, moved, there)

    assert {each["id"] for each in upcoming(school, alice)} == set(booked)
    for record_id in booked:
        assert update(school.api, alice, record_id, attending_location="calgary").status == 200
        assert cancel(school.api, alice, record_id).status == 200
    assert credit_of(school.portal, alice) == credits_left + 2


@ORIGINS
def test_a_booking_moved_to_another_exam_is_of_that_one(book: Any, school: School) -> None:
    alice = school.portal.student("alice")
    old, new, beside = (school.portal.exam(in_days=days) for days in (5, 8, 8))
    again = school.portal.exam(in_days=5)
    booked = book(school, alice, old)
    types = school.portal.profile.object_types
    ends = (types.bookings, booked, types.mock_exams)
    school.portal.sandbox.dissociate(*ends, old.id)
    school.portal.sandbox.associate(*ends, new.id)

    assert [each["mock_exam_id"] for each in upcoming(school, alice)] == [new.id]
    assert create(school.api, alice, beside).code == "DUPLICATE_BOOKING"
    assert create(school.api, alice, again).status == 201


def test_a_booking_linked_to_a_second_exam_stays_that_of_its_own(school: School) -> None:
    alice = school.portal.student("alice")
    second, own = school.portal.exam(in_days=5), school.portal.exam(in_days=8)
    beside = school.portal.exam(in_days=5)
    booked = made_here(school, alice, own)
    types = school.portal.profile.object_types
    school.portal.sandbox.associate(types.bookings, booked, types.mock_exams, second.id)

    assert [each["mock_exam_id"] for each in upcoming(school, alice)] == [own.id]
    shown = school.api.get(f"/api/bookings/{booked}", **alice.pair).data["mock_exam"]
    assert shown["id"] == own.id
    assert create(school.api, alice, beside).status == 201
    assert cancel(school.api, alice, booked).status == 200


def test_what_is_over_by_the_exams_own_day_is_past(school: School) -> None:
    alice = school.portal.student("alice")
    moved, over = school.portal.exam(in_days=5), school.portal.exam(in_days=-2)
    booked = made_here(school, alice, moved)
    move(school, moved, over)

    assert upcoming(school, alice) == []
    shown = school.api.get(f"/api/bookings/{booked}", **alice.pair).data["booking"]
    assert shown["status"] == "completed"
    assert cancel(school.api, alice, booked).code == "VALIDATION_ERROR"


def test_the_note_of_a_cancel_names_the_day_the_exam_has_now(school: School) -> None:
    alice = school.portal.student("alice")
    moved, there = school.portal.exam(in_days=5), school.portal.exam(in_days=8)
    booked = made_here(school, alice, moved)
    move(school, moved, there)
    assert cancel(school.api, alice, booked).status == 200

    body = OutboxNote.objects.get(entry__kind="cancel").body

    assert f"{moved.mock_type} on {there.day.isoformat()}" in body


@pytest.mark.sampled
@pytest.mark.parametrize("api_version", ["legacy", "2026-03", "2026-09"])
@pytest.mark.parametrize("profile", ["default", "prepdoctors"])
def test_it_is_so_on_all_families_of_paths(
    profile: str, api_version: ApiVersion, sandbox: SandboxHandle, settings: Settings
) -> None:
    portal = Portal(sandbox, load_profile(profile))
    sandbox.kind()
    with connected(settings, sandbox, portal=profile, api_version=api_version) as api:
        school = School(api, portal)
        alice, charlie = portal.student("alice"), portal.student("charlie")
        moved, there = portal.exam(in_days=5), portal.exam(in_days=8)
        booked = made_here(school, alice, moved)
        types = portal.profile.object_types
        sandbox.associate(types.contacts, charlie.id, types.bookings, booked)
        move(school, moved, there)

        assert create(api, alice, there).code == "DUPLICATE_BOOKING"
        assert upcoming(school, charlie) == []
        assert cancel(api, charlie, booked).code == "ACCESS_DENIED"
        assert create(api, charlie, there).status == 201


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moves=st.lists(st.tuples(st.integers(0, 3), st.integers(5, 8)), max_size=3),
    asked=st.lists(st.integers(0, 3), min_size=1, max_size=3),
)
def test_whatever_moves_a_booking_is_refused_where_the_list_shows_one_that_day(
    moves: list[tuple[int, int]], asked: list[int], school: School, webhook_secret: None
) -> None:
    alice = school.portal.student(f"a{next(_numbers)}", credits=20)
    exams = [school.portal.exam(in_days=days) for days in (5, 6, 7, 8)]
    days = {exam.id: exam.day for exam in exams}
    for turn, number in enumerate(asked):
        taken = {each["exam_date"] for each in upcoming(school, alice)}
        exam = exams[number]
        key = f"{alice.id}-{turn}"  # without, some would be repeats
        reply = create(school.api, alice, exam, key, exam_date=days[exam.id].isoformat())

        if days[exam.id].isoformat() in taken:
            assert reply.code == "DUPLICATE_BOOKING"
        else:
            assert reply.status == 201
        if turn < len(moves):
            which, in_days = moves[turn]
            days[exams[which].id] = school.portal.today + timedelta(days=in_days)
            change(school, exams[which], exam_date=days[exams[which].id].isoformat())
            told = Events(school.portal.profile).exam(
                "propertyChange", exams[which].id, propertyName="exam_date"
            )
            assert tell(school.api, told).status == 200


_numbers = iter(range(100, 10_000))


@ORIGINS
def test_an_exam_that_hubspot_refuses_to_read_keeps_nobody_from_booking_others(
    book: Any, school: School
) -> None:
    """Nothing but the copies on the booking says its day then."""
    student, ill = school.portal.student("alice"), school.portal.exam(in_days=20)
    assert book(school, student, ill)
    exams = school.portal.profile.object_types.mock_exams
    refused = {"object_type": exams, "id": ill.id, "operations": "objects.batch_read"}
    school.portal.sandbox.configure(refused_records=[refused])

    same_day = create(school.api, student, school.portal.exam(in_days=20))
    assert same_day.code == "DUPLICATE_BOOKING"
    assert create(school.api, student, school.portal.exam(in_days=21)).status == 201


def test_seats_that_bookings_were_moved_away_from_are_free(school: School) -> None:
    """Those bookings name the seats still, and HubSpot lets nobody else have the names."""
    portal, types = school.portal, school.portal.profile.object_types
    small, large, other = (portal.exam(capacity=capacity) for capacity in (1, 6, 20))
    named = [(small, 1), *((large, number) for number in range(1, 6))]
    for place, (exam, number) in enumerate(named):
        student = portal.student(f"moved{place}")
        moved = portal.booking(student, exam, seat_key=f"{exam.id}:{number}")
        portal.sandbox.associate(types.bookings, moved.id, types.mock_exams, other.id)
        portal.sandbox.dissociate(types.bookings, moved.id, types.mock_exams, exam.id)

    assert create(school.api, portal.student("alice"), small).status == 201
    assert create(school.api, portal.student("charlie"), small).code == "EXAM_FULL"
    assert create(school.api, portal.student("dana"), large).status == 201
    assert portal.sandbox.calls_count("objects.batch_create", status=409) == 2
