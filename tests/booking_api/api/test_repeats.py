"""The same booking asked for again without a key: one seat, one credit, and the first's answer."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.api import Api, Reply
from tests.booking_api.api.test_idempotency import end_booking
from tests.booking_api.api.test_waiting import waiting
from tests.builders import Exam, Portal, Student
from tests.desk import School, active_bookings, create, credit_of
from tests.faults.groups import running_desk
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]

TOGETHER = 12


def at_once(number: int, student: Student, exam: Exam) -> list[Reply]:
    """Send the same create so many times at the same moment, without a key."""
    barrier = threading.Barrier(number)

    def one(_: int) -> Reply:
        barrier.wait()
        reply = create(Api(), student, exam)
        connection.close()
        return reply

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def age(seconds: float) -> None:
    """Let everything in the journal have happened so much earlier."""
    JournalEntry.objects.update(changed_at=F("changed_at") - timedelta(seconds=seconds))


def first_answer(reply: Reply) -> dict[str, Any]:
    return {name: value for name, value in reply.data.items() if name != "idempotent_request"}


def test_a_repeat_within_two_minutes_is_answered_as_the_first_time(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    first = create(school.api, alice, exam)
    age(119)

    again = create(school.api, alice, exam, email=alice.email.upper())

    assert (first.status, again.status) == (201, 200)
    assert again.data == {**first.data, "idempotent_request": True}
    assert len(active_bookings(school.portal, exam)) == 1
    assert credit_of(school.portal, alice) == 4
    age(2)
    assert create(school.api, alice, exam).code == "DUPLICATE_BOOKING"


def test_a_repeat_of_what_had_a_key_is_one_too_and_one_with_a_key_is_none(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    first = create(school.api, alice, exam, "key-1")

    keyless, keyed = create(school.api, alice, exam), create(school.api, alice, exam, "key-2")

    assert keyless.data == {**first.data, "idempotent_request": True}
    assert (keyed.status, keyed.code) == (400, "DUPLICATE_BOOKING")


def test_nothing_else_is_taken_for_a_repeat(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    other, charlie = school.portal.exam(in_days=9), school.portal.student("charlie")
    create(school.api, alice, exam)

    assert create(school.api, alice, exam, name="Alice M.").code == "DUPLICATE_BOOKING"
    if exam.mock_type != "clinical":
        elsewhere = create(school.api, alice, exam, attending_location="calgary")
        assert elsewhere.code == "DUPLICATE_BOOKING"
    assert create(school.api, alice, other).status == 201
    assert create(school.api, charlie, exam).status == 201
    assert credit_of(school.portal, alice) == 3


@pytest.mark.parametrize("how", ["our DELETE", "a person", "archived"])
def test_a_first_that_stands_no_more_counts_for_nothing(school: School, how: str) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    first = create(school.api, alice, exam).data["booking_record_id"]
    end_booking(school, alice, first, how)
    left = credit_of(school.portal, alice)

    anew = create(school.api, alice, exam)
    again = create(school.api, alice, exam)

    assert (anew.status, again.status) == (201, 200), (anew.body, again.body)
    assert anew.data["booking_record_id"] != first
    assert again.data["booking_record_id"] == anew.data["booking_record_id"]
    assert credit_of(school.portal, alice) == left - 1


def test_a_first_that_was_refused_counts_for_nothing(school: School) -> None:
    alice = school.portal.student("alice")
    exam, seats = school.portal.exam_with_bookings(1, capacity=1)
    full = create(school.api, alice, exam)
    end_booking(school, seats[0].student, seats[0].id, "our DELETE")

    anew = create(school.api, alice, exam)

    assert (full.code, anew.status) == ("EXAM_FULL", 201)
    assert "idempotent_request" not in anew.data


@pytest.mark.parametrize("capacity", [1, 5])
def test_many_at_the_same_moment_are_one_booking(school: School, capacity: int) -> None:
    alice, exam = school.portal.student("alice", credits=1), school.portal.exam(capacity=capacity)

    replies = at_once(TOGETHER, alice, exam)

    assert Counter(reply.status for reply in replies) == {201: 1, 200: TOGETHER - 1}
    assert all(first_answer(reply) == first_answer(replies[0]) for reply in replies)
    assert len(active_bookings(school.portal, exam)) == 1
    assert credit_of(school.portal, alice) == 0
    assert JournalEntry.objects.count() == 1


def test_many_at_the_same_moment_are_refused_alike(school: School) -> None:
    alice = school.portal.student("alice")
    exam, _ = school.portal.exam_with_bookings(1, capacity=1)

    replies = at_once(3, alice, exam)

    assert {(reply.status, reply.code) for reply in replies} == {(400, "EXAM_FULL")}


@pytest.mark.parametrize(("credits_left", "capacity"), [(5, 5), (1, 5), (5, 1)])
def test_what_another_process_was_asked_at_the_same_moment_is_the_answer(
    api: Api, portal: Portal, credits_left: int, capacity: int
) -> None:
    """Neither saw the other's row; the other's is served first, and leaves nothing for this one."""
    alice, exam = portal.student("alice", credits=credits_left), portal.exam(capacity=capacity)
    refusal = {"code": "EXAM_FULL", "message": "Not seen by the next one."}
    with waiting(lambda: create(Api(), alice, exam)) as futures:
        JournalEntry.objects.update(state=EntryState.REFUSED, answer=refusal)
        assert futures[0].result().code == "EXAM_FULL"
    other = JournalEntry.objects.get()

    with waiting(lambda: create(Api(), alice, exam)) as futures:
        JournalEntry.objects.filter(id=other.id).update(state=EntryState.QUEUED)
    reply = futures[0].result()

    assert reply.status == 200, reply.body
    assert reply.data["idempotency_key"] == other.idempotency_key
    assert (credit_of(portal, alice), len(active_bookings(portal, exam))) == (credits_left - 1, 1)


def test_a_twin_that_is_refused_leaves_the_booking_to_answer_with(api: Api, portal: Portal) -> None:
    """Two processes were asked at the same moment. One has booked; the other's row is refused while
    a third request waits for it."""
    alice, exam = portal.student("alice"), portal.exam()
    refusal = {"code": "EXAM_FULL", "message": "Not seen by the next one."}
    with waiting(lambda: create(Api(), alice, exam)) as futures:
        JournalEntry.objects.update(state=EntryState.REFUSED, answer=refusal)
        assert futures[0].result().code == "EXAM_FULL"
    twin = JournalEntry.objects.get()
    first = create(api, alice, exam)

    def ask() -> Reply:
        reply = create(Api(), alice, exam)
        connection.close()
        return reply

    with ThreadPoolExecutor(1) as pool:
        with waiting(lambda: create(Api(), portal.student("charlie"), exam)):
            JournalEntry.objects.filter(id=twin.id).update(state=EntryState.QUEUED)
            third = pool.submit(ask)
            queue = composition.services().booking.desk._queue
            eventually(lambda: twin.id in queue.waited_for)
        reply = third.result()

    twin.refresh_from_db()
    assert (first.status, twin.state) == (201, EntryState.REFUSED)
    assert (reply.status, reply.body.get("code")) == (200, None)
    assert reply.data == {**first.data, "idempotent_request": True}


def test_a_repeat_waits_for_a_first_that_is_unsettled_and_names_its_key(
    settings: Settings, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    types = portal.profile.object_types
    portal.sandbox.fault("status", path=f"{types.contacts}/batch/update", status=503)
    with running_desk(settings, portal.sandbox, DeskConfig(late_write_s=0)) as desk:
        unknown = desk.outlast_turn(partial(create, desk.api, alice, exam))
        with desk.held_up():  # it does not try again meanwhile
            JournalEntry.objects.update(next_attempt_at="2999-01-01T00:00Z")
        repeat = create(desk.api, alice, exam)
        portal.sandbox.clear_faults()
        JournalEntry.objects.update(next_attempt_at=None)
        eventually(lambda: create(desk.api, alice, exam).status == 200)

    assert (unknown.status, unknown.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert (repeat.status, repeat.code) == (409, "REQUEST_IN_PROGRESS")
    assert repeat.body["retryAfter"] > 0
    assert repeat.body["idempotency_key"] == unknown.body["idempotency_key"]
    assert credit_of(portal, alice) == 4


def test_a_pair_that_is_right_no_more_is_shown_nothing(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam)
    age(60)

    reply = create(api, alice, exam, student_id="S9999")

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
