"""A request whose deadline passes: what it was told stays true, its key tells what came of it."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django import Settings

from hubspot_sync.portal.profile import load_profile
from tests.api import Reply
from tests.builders import Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.world import Holdings, broken_promises, seats
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

READ_CONTACTS = "/0-1/batch/read"
CREATE = "/2-50158943/batch/create"


def told_to_ask_again(reply: Reply, key: str) -> bool:
    asked_later = int(reply.headers["Retry-After"]) > 0
    return reply.status == 503 and asked_later and reply.body["idempotency_key"] == key


def let_in(desk: DeskUnderTest, student: Student) -> None:
    """Let the cache know the student, so that nobody is asked at the door."""
    assert desk.api.get("/api/bookings/list", **student.pair).status == 200


def test_nothing_is_booked_for_whom_was_told_that_nothing_was(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """The deadline passes while the desk is reading for the group."""
    alice, exam = portal.student("alice"), portal.exam()
    owned = Holdings.of(portal, [alice])
    let_in(desk, alice)
    with desk.stuck(READ_CONTACTS) as call:
        reply = desk.outlast(partial(create, desk.api, alice, exam, "key-1"), call)
    desk.wait_until_idle()

    assert told_to_ask_again(reply, "key-1"), reply
    assert seats(portal) == []
    assert broken_promises(portal, [exam], [alice], owned) == []


def test_who_asks_again_meanwhile_is_served_once(desk: DeskUnderTest, portal: Portal) -> None:
    """The same key comes again while the desk is still at work on the row that
    was given up."""
    alice, exam = portal.student("alice"), portal.exam()
    owned = Holdings.of(portal, [alice])
    let_in(desk, alice)
    with desk.stuck(READ_CONTACTS) as call:
        first = desk.outlast(partial(create, desk.api, alice, exam, "key-1"), call)
        group = desk.begin([partial(create, desk.api, alice, exam, "key-1")])
        call.go_on()
        (second,) = group.wait_for_replies()
    desk.wait_until_idle()
    third = create(desk.api, alice, exam, "key-1")

    assert told_to_ask_again(first, "key-1"), first
    assert (second.status, third.status) == (201, 200), second
    assert credit_of(portal, alice) == 4
    assert broken_promises(portal, [exam], [alice], owned) == []


def test_a_create_whose_outcome_is_not_known_in_time_is_told_by_its_key(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    owned = Holdings.of(portal, [alice])

    with desk.stuck(CREATE) as call:
        first = desk.outlast(partial(create, desk.api, alice, exam, "key-1"), call)
        again = desk.outlast(partial(create, desk.api, alice, exam, "key-1"))
    desk.wait_until_idle()
    last = create(desk.api, alice, exam, "key-1")

    assert told_to_ask_again(first, "key-1"), first
    assert (again.status, again.code) == (409, "REQUEST_IN_PROGRESS")
    assert last.status == 200
    assert last.data["idempotent_request"] is True
    assert [seat.record_id for seat in seats(portal)] == [last.data["booking_record_id"]]
    assert broken_promises(portal, [exam], [alice], owned) == []


def test_who_waited_in_vain_in_the_queue_has_nothing(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()

    with desk.held_up():
        reply = desk.outlast(partial(create, desk.api, alice, exam, "key-1"))
    desk.wait_until_idle()

    assert told_to_ask_again(reply, "key-1"), reply
    assert (seats(portal), credit_of(portal, alice)) == ([], 5)
    assert create(desk.api, alice, exam, "key-1").status == 201


@pytest.mark.parametrize("school", ["default", "prepdoctors"])
def test_who_was_told_that_nobody_knows_is_told_with_the_next_booking_how_it_ended(
    settings: Settings, sandbox: SandboxHandle, school: str
) -> None:
    portal = Portal(sandbox, load_profile(school))
    sandbox.kind()
    alice, charlie = portal.student("alice"), portal.student("charlie")
    exams = [portal.exam(in_days=days) for days in (3, 4, 5)]
    with running_desk(settings, sandbox, portal=school) as desk:
        with desk.stuck(CREATE) as call:
            unknown = desk.outlast(partial(create, desk.api, alice, exams[0]), call)
        desk.wait_until_idle()
        told = create(desk.api, alice, exams[1])
        others = create(desk.api, charlie, exams[1])
        known = create(desk.api, alice, exams[0])
        cancel(desk.api, alice, known.data["booking_record_id"])
        later = create(desk.api, alice, exams[2])

    assert (unknown.status, unknown.code) == (503, "HUBSPOT_UNAVAILABLE")
    (warning,) = told.data["associations"]["warnings"]
    assert exams[0].mock_type in warning
    assert exams[0].day.isoformat() in warning
    assert known.data["idempotent_request"] is True
    assert known.data["idempotency_key"] == unknown.body["idempotency_key"]
    for unconcerned in (known, others, later):
        assert unconcerned.data["associations"]["warnings"] == []
