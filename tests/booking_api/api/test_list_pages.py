"""`GET /api/bookings/list`: cursors, which only the API can make, and pages past the end."""

from __future__ import annotations

import base64
import json
from itertools import chain
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import Cause
from tests.api import Api, Reply
from tests.builders import Booking, Portal, Student

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
NOT_A_CURSOR = "after: this is not a cursor of this list."
BASE64_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECRET, OLD_SECRET = "the secret of today " * 3, "the secret of yesterday " * 3


@pytest.fixture
def alice(portal: Portal) -> Student:
    return portal.student("alice")


@pytest.fixture
def booked(portal: Portal, alice: Student) -> list[Booking]:
    return portal.bookings(alice, [portal.exam(in_days=days) for days in (2, 3, 4, 5)])


def next_of(api: Api, student: Student, **query: Any) -> str:
    cursor: str = api.get(LIST, **student.pair, **query).data["pagination"]["next"]
    return cursor


def ids_of(reply: Reply) -> list[str]:
    return [row["id"] for row in reply.data["bookings"]]


def pages_held() -> set[str]:
    """Return the keys of the pages in the cache."""
    keys = chain.from_iterable(composition.services().cached.cache.backend.scan_keys())
    return {key for key in keys if key.startswith("bookings:list:")}


def assert_refused(reply: Reply) -> None:
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.body["validationErrors"] == [NOT_A_CURSOR]


def bare(*parts: str | None) -> str:
    """Return a cursor as it was given out before cursors were sealed."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_made_by_hand_is_refused_asks_hubspot_nothing_and_leaves_nothing(
    api: Api, portal: Portal, alice: Student, booked: list[Booking]
) -> None:
    api.get(LIST, **alice.pair)
    held = pages_held()
    portal.sandbox.clear_calls()

    for number in range(20):
        made = bare("all", f"2026-12-01T09:00:{number:02}+00:00", str(number))
        assert_refused(api.get(LIST, after=made, **alice.pair))
        assert_refused(api.get(LIST, after=f"{made}.{'A' * 22}", **alice.pair))

    assert pages_held() == held
    assert portal.sandbox.calls_count() == 0


def test_no_other_spelling_of_a_cursor_is_one(
    api: Api, alice: Student, booked: list[Booking]
) -> None:
    cursor = next_of(api, alice, limit=1)
    last = BASE64_DIGITS.index(cursor[-1])
    # The last digit of a seal has four bits that say nothing.
    spare = {BASE64_DIGITS[last ^ bits] for bits in range(1, 16)}

    for spelling in (
        *(cursor[:-1] + digit for digit in spare),
        *(cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in (0, 9, -9)),
        *(f"{cursor}=", f"{cursor}==", f".{cursor}", f"{cursor}.", cursor.replace(".", "")),
        *(cursor.partition(".")[0], cursor.partition(".")[2], "é" + cursor, cursor + "é"),
    ):
        assert_refused(api.get(LIST, limit=1, after=spelling, **alice.pair))


@pytest.mark.parametrize("filter_", ["all", "upcoming", "past", "cancelled"])
def test_a_cursor_of_another_students_list_or_another_filter_is_refused(
    filter_: str, api: Api, portal: Portal, alice: Student, booked: list[Booking]
) -> None:
    bob = portal.student("bob")
    portal.bookings(bob, [portal.exam(in_days=days) for days in (2, 3)])
    cursor = next_of(api, alice, limit=1, filter="upcoming")

    assert_refused(api.get(LIST, after=cursor, filter=filter_, **bob.pair))
    if filter_ != "upcoming":
        assert_refused(api.get(LIST, after=cursor, filter=filter_, **alice.pair))


@pytest.mark.parametrize("gone", ["booking", "exam"])
def test_a_cursor_stays_good_when_its_booking_is_gone_or_moved(
    gone: str, api: Api, portal: Portal, alice: Student
) -> None:
    exams = [portal.exam(in_days=days) for days in (2, 3, 4)]
    first, second, last = portal.bookings(alice, exams)
    cursor = next_of(api, alice, limit=2)
    # A booking without its exam stands at the end of its day.
    portal.archive(second if gone == "booking" else exams[1])
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)

    shown = ids_of(api.get(LIST, limit=2, after=cursor, **alice.pair))

    assert shown == ([last.id] if gone == "booking" else [second.id, last.id])
    assert first.id not in shown


def restarted(settings: Settings, *secrets: str) -> None:
    """Make the API one that was started with these secrets, the first being today's."""
    composition.close()
    settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS = secrets


def test_a_cursor_outlives_a_restart_and_its_secret_while_that_is_a_fallback(
    api: Api, settings: Settings, alice: Student, booked: list[Booking]
) -> None:
    restarted(settings, OLD_SECRET)
    old = next_of(api, alice, limit=1)
    restarted(settings, OLD_SECRET)
    assert next_of(api, alice, limit=1) == old
    rest = ids_of(api.get(LIST, after=old, **alice.pair))

    restarted(settings, SECRET, OLD_SECRET)
    new = next_of(api, alice, limit=1)
    before = pages_held()

    assert new != old
    assert ids_of(api.get(LIST, after=old, **alice.pair)) == rest == [b.id for b in booked[1:]]
    assert ids_of(api.get(LIST, after=new, **alice.pair)) == rest
    assert len(pages_held() - before) == 1
    restarted(settings, SECRET)
    assert_refused(api.get(LIST, after=old, **alice.pair))


def test_whoever_is_no_student_learns_nothing_of_a_cursor(
    api: Api, alice: Student, booked: list[Booking]
) -> None:
    cursor = next_of(api, alice, limit=1)
    wrong = alice.pair | {"student_id": "S9999"}

    replies = [api.get(LIST, after=after, **wrong) for after in (cursor, "x")]

    assert [reply.code for reply in replies] == ["AUTH_FAILED", "AUTH_FAILED"]


def without_numbers(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"pagination": data["pagination"] | {"current_page": 0, "page": 0}}


def test_a_page_past_the_end_has_the_number_asked_for_and_all_are_kept_as_one(
    api: Api, portal: Portal, alice: Student, booked: list[Booking]
) -> None:
    api.get(LIST, limit=3, **alice.pair)
    before = pages_held()
    portal.sandbox.clear_calls()

    numbers = (3, 4, 100, 12_345, 1_000_000_000)
    answers = {page: api.get(LIST, limit=3, page=page, **alice.pair).data for page in numbers}

    assert len(pages_held() - before) == 1
    assert portal.sandbox.calls_count() == 0
    assert all(without_numbers(each) == without_numbers(answers[3]) for each in answers.values())
    assert answers[100]["bookings"] == []
    assert answers[100]["pagination"] == {
        "current_page": 100,
        "total_pages": 2,
        "total_bookings": 4,
        "has_next": False,
        "has_previous": True,
        "page": 100,
        "limit": 3,
        "total": 4,
        "hasMore": False,
        "next": None,
    }
    shown = [(page, each["pagination"]["page"]) for page, each in answers.items()]
    assert shown == [(page, page) for page in numbers]


def test_past_the_end_of_a_filter_that_lists_fewer_it_is_the_same(
    api: Api, portal: Portal, alice: Student, booked: list[Booking]
) -> None:
    numbers = [1, 2, 3, 4, 5, 6, 7]
    answers = [
        api.get(LIST, limit=1, filter="past", page=page, **alice.pair).data for page in numbers
    ]

    past_the_end = [without_numbers(each) for each in answers[1:]]
    assert all(each == past_the_end[0] for each in past_the_end)
    assert [each["pagination"]["current_page"] for each in answers] == numbers
    assert len(pages_held()) <= len(booked) + 1


def test_a_bookings_own_text_is_not_taken_for_a_pages_number(api: Api, portal: Portal) -> None:
    alice, text = portal.student("alice"), '"pagination":{"page":5,"current_page":6'
    portal.booking(alice, portal.exam(), name=text)

    shown = api.get(LIST, **alice.pair).data

    assert (shown["bookings"][0]["name"], shown["pagination"]["page"]) == (text, 1)


def test_a_page_that_was_past_the_end_is_none_once_there_are_more(
    api: Api, portal: Portal, alice: Student, booked: list[Booking]
) -> None:
    assert ids_of(api.get(LIST, limit=4, page=2, **alice.pair)) == []
    more = portal.booking(alice, portal.exam(in_days=9))
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)

    assert ids_of(api.get(LIST, limit=4, page=2, **alice.pair)) == [more.id]
