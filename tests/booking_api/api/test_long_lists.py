"""Lists far longer than a page of anybody's: as right as the short ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.api import Api, connected
from tests.builders import Portal, Student

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
MANY = 1_000_000


@pytest.fixture
def api(settings: Settings, portal: Portal) -> Iterator[Api]:
    """The API where neither side limits calls: each page of 2 000 costs some 25."""
    portal.sandbox.configure(rate_limit=MANY)
    with connected(settings, portal.sandbox, requests_per_window=MANY) as connected_api:
        yield connected_api


def rows(api: Api, student: Student, **query: Any) -> tuple[list[str], dict[str, Any]]:
    data = api.get(LIST, limit=100, **student.pair, **query).data
    return [row["id"] for row in data["bookings"]], data["pagination"]


def walk(api: Api, student: Student) -> list[str]:
    seen, pagination = rows(api, student)
    while pagination["next"] is not None:
        more, pagination = rows(api, student, after=pagination["next"])
        seen += more
    return seen


@pytest.mark.parametrize("number", [1, 100, 101, 500, pytest.param(2000, marks=pytest.mark.chaos)])
def test_every_booking_is_listed_once_by_page_and_by_cursor(
    number: int, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    with portal.at_once():
        exams = [portal.exam(in_days=day - 20) for day in range(40)]
    made = portal.bookings(alice, exams, number)

    seen = walk(api, alice)
    first, pagination = rows(api, alice)
    last, _ = rows(api, alice, page=pagination["total_pages"])

    assert pagination["total"] == number
    assert pagination["total_pages"] == -(-number // 100)
    assert sorted(seen) == sorted(booking.id for booking in made)
    assert first == seen[:100]
    assert last == seen[100 * (pagination["total_pages"] - 1) :]
