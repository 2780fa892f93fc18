"""Readers have used up what they may ask of HubSpot: bookings go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig, Cause
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from tests.api import Api, Reply, connected
from tests.builders import Booking, Exam, Portal, Student
from tests.desk import CREATE, School, cancel, create, create_body, credit_of, update

LIST = "/api/bookings/list"
LIMIT = 120
DESK_SHARE = 0.4
UNKNOWN_WRITERS_PART = 12
"""A quarter of what the desk has."""
CONTACTS = "0-1"

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[[Api, Student, Booking], Reply]


@pytest.fixture
def school(settings: Settings, portal: Portal) -> Iterator[School]:
    """The window is longer than a request may take: who has no part of it is told so at once."""
    portal.sandbox.kind()
    window = {"requests_per_window": LIMIT, "window_s": 60.0}
    shares = {"desk_share": DESK_SHARE, "reserved_share": 0.5}
    with connected(settings, portal.sandbox, **window, **shares) as api:
        yield School(api, portal)


def use_up_the_readers_share(priority: Priority = Priority.PEOPLE) -> None:
    budget = composition.services().client.rate_budget
    while True:
        try:
            slot = budget.acquire(Deadline.after(0), priority=priority, search=False)
        except RateLimited:
            return
        slot.report_answer(0.0)


def make_cold() -> None:
    """Nothing is cached any more; who was right is still known."""
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)


def restart() -> None:
    """As another process: what was noted is in the database, and nothing in memory."""
    composition.services().pairs.right.write_noted()
    composition.close()


def known(school: School, name: str = "alice") -> tuple[Student, Exam, Booking]:
    """A student whose pair was right before, who has a booking and may have another."""
    student = school.portal.student(name, credits=3)
    booking = school.portal.booking(student, school.portal.exam(in_days=3))
    assert school.api.get(LIST, **student.pair).status == 200
    return student, school.portal.exam(), booking


def is_refused_as_a_reader(school: School, student: Student) -> bool:
    make_cold()
    listed = school.api.get(LIST, **student.pair)
    return (listed.status, listed.code) == (503, "RATE_LIMITED")


def by_record_id(booking: Booking) -> str:
    return booking.id


def by_readable_id(booking: Booking) -> str:
    return quote(booking.booking_id)


def still_cached() -> None:
    """The cache still holds the contact, and what was read of their bookings."""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("named", [by_record_id, by_readable_id])
@pytest.mark.parametrize("meanwhile", [still_cached, make_cold, restart])
def test_a_known_student_books_changes_and_cancels(
    school: School, meanwhile: Callable[[], None], named: Callable[[Booking], str]
) -> None:
    alice, exam, booking = known(school)
    meanwhile()
    use_up_the_readers_share()

    changed = update(school.api, alice, named(booking), attending_location="calgary")
    booked = create(school.api, alice, exam)
    canceled = cancel(school.api, alice, named(booking))

    assert changed.data["booking"]["attending_location"] == "calgary"
    assert changed.data["mock_exam"]["id"] == booking.exam.id
    assert (booked.status, canceled.status) == (201, 200)
    # Three, less the one that was booked, and the one given back.
    assert credit_of(school.portal, alice) == 3
    assert is_refused_as_a_reader(school, alice)


@pytest.mark.parametrize("used_up_by", [Priority.PEOPLE, Priority.UNPROVEN])
def test_a_first_request_books_where_the_pair_is_right(
    school: School, used_up_by: Priority
) -> None:
    alice, exam = school.portal.student("alice", credits=3), school.portal.exam()
    use_up_the_readers_share(used_up_by)

    booked = create(school.api, alice, exam)

    assert booked.status == 201, booked.body
    assert credit_of(school.portal, alice) == 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda api, student, booking: cancel(api, student, booking.id),
        lambda api, student, booking: cancel(api, student, quote(booking.booking_id)),
        lambda api, student, booking: update(
            api, student, booking.id, attending_location="calgary"
        ),
    ],
    ids=["cancel", "cancel by readable id", "update"],
)
def test_a_first_request_changes_a_booking_where_the_pair_is_right(
    school: School, ask: Ask
) -> None:
    alice = school.portal.student("alice", credits=3)
    booking = school.portal.booking(alice, school.portal.exam())
    use_up_the_readers_share()

    assert ask(school.api, alice, booking).status == 200
    assert is_refused_as_a_reader(school, alice)


def test_while_readers_leave_room_a_first_request_takes_none_of_the_desks_part(
    school: School,
) -> None:
    """More new students than the small part has calls for, one after the other."""
    exam = school.portal.exam()
    budget = composition.services().client.rate_budget
    for _ in range(2 * UNKNOWN_WRITERS_PART):
        slot = budget.acquire(Deadline.after(0), priority=Priority.UNPROVEN_WRITER, search=False)
        slot.report_answer(0.0)
    use_up_the_readers_share()

    booked = create(school.api, school.portal.student("alice"), exam)

    assert booked.status == 201, booked.body


def guess(method: str, number: int, address: str) -> Reply:
    """A write with an invented pair."""
    pair = {"student_id": f"G{number}", "email": f"guess{number}@example.org"}
    body = {**pair, "attending_location": "calgary"}
    path = "/api/bookings/123456"
    if method == "POST":
        path = CREATE
        body |= {"contact_id": "1", "mock_exam_id": "2", "name": "No One"}
        body |= {"exam_date": "2026-12-03", "mock_type": "clinical"}
    return Api().send(method, path, body=orjson.dumps(body), REMOTE_ADDR=address)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("method", "address"),
    [("DELETE", "198.51.100.{}"), ("PATCH", "2001:db8:{}::1"), ("POST", "127.0.0.1")],
    ids=["many addresses", "many networks", "the student's own address"],
)
def test_guessed_pairs_leave_known_students_the_desks_share(
    school: School, method: str, address: str
) -> None:
    alice, exam, booking = known(school)
    charlie = school.portal.student("charlie", credits=3)
    make_cold()
    use_up_the_readers_share()
    school.portal.sandbox.clear_calls()

    guesses = [
        guess(method, number, address.format(number)) for number in range(3 * UNKNOWN_WRITERS_PART)
    ]

    asked = len(school.portal.sandbox.calls())
    assert asked == UNKNOWN_WRITERS_PART
    told = [reply.status for reply in guesses]
    assert told == [401] * asked + [503] * (len(guesses) - asked)
    assert all(reply.code == "RATE_LIMITED" for reply in guesses[asked:])
    unknown = create(school.api, charlie, exam)
    assert (unknown.status, unknown.code) == (503, "RATE_LIMITED")
    changed = update(school.api, alice, booking.id, attending_location="calgary")
    booked = create(school.api, alice, exam)
    canceled = cancel(school.api, alice, booking.id)
    assert (changed.status, booked.status, canceled.status) == (200, 201, 200)


def test_a_student_who_asks_too_often_has_no_more_of_the_desks_share(
    settings: Settings, portal: Portal
) -> None:
    """Without a cache each request asks HubSpot whether the pair is right."""
    portal.sandbox.kind()
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"writes": (2, 86_400)}
    alice, exam = portal.student("alice", credits=9), portal.exam()
    off = CacheConfig(enabled=False)
    with connected(settings, portal.sandbox, cache=off, window_s=60.0, desk_share=0.25) as api:
        assert api.get(LIST, **alice.pair).status == 200
        use_up_the_readers_share()
        told = [cancel(api, alice, "987654321").status for _ in range(2)]
        portal.sandbox.clear_calls()

        refused = create(api, alice, exam)

    assert told == [404, 404]
    assert (refused.status, refused.code) == (503, "RATE_LIMITED")
    assert portal.sandbox.calls() == []


def test_a_pair_that_is_right_no_more_costs_the_desks_share_one_call(school: School) -> None:
    alice, exam, _ = known(school)
    restart()
    school.portal.sandbox.edit(CONTACTS, alice.id, student_id="S7777")
    asked = create_body(alice, exam)
    use_up_the_readers_share()
    use_up_the_readers_share(Priority.UNPROVEN_WRITER)
    school.portal.sandbox.clear_calls()

    told = []
    for _ in range(3):
        make_cold()
        told.append(school.api.post(CREATE, **asked).status)

    assert told == [401, 503, 503]
    assert len(school.portal.sandbox.calls()) == 1
