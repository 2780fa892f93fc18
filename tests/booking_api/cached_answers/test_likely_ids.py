"""What was read before is read beside the search, and never believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api import composition
from booking_api.queries.likely_ids import LikelyIds
from cache_layer import CacheConfig, Cause
from tests.api import Api, connected
from tests.builders import Booking, Exam, Portal

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"


@pytest.fixture(params=[True, False], ids=["cached", "uncached"])
def asked(
    request: pytest.FixtureRequest, settings: Settings, portal: Portal
) -> Iterator[Callable[[], Any]]:
    """Asks for the exams, counted and as stored, with nothing cached."""
    settings.CORRECT_COUNTS = False
    config = CacheConfig(enabled=request.param)
    with connected(settings, portal.sandbox, portal=portal.profile.name, cache=config) as api:
        yield lambda: ask(api, portal)


def ask(api: Api, portal: Portal) -> Any:
    answers = []
    for realtime in ("true", "false"):
        composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
        mock_type = portal.first_type.value
        answers.append(api.get(AVAILABLE, mock_type=mock_type, realtime=realtime).data)
    return answers


def exam_appears(portal: Portal, _: list[Exam], __: list[Booking]) -> None:
    portal.booking(portal.student("charlie"), portal.exam(in_days=2))


def exam_is_archived(portal: Portal, exams: list[Exam], _: list[Booking]) -> None:
    portal.archive(exams[0])


def exam_closes(portal: Portal, exams: list[Exam], _: list[Booking]) -> None:
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exams[0].id, is_active="false")


def exam_closes_and_is_refused(portal: Portal, exams: list[Exam], __: list[Booking]) -> None:
    exam_closes(portal, exams, __)
    refused = {"object_type": portal.profile.object_types.mock_exams, "id": exams[0].id}
    reads = r"objects\.(batch_)?read|associations\.batch_read"
    portal.sandbox.configure(refused_records=[{**refused, "operations": reads}])


def seats_change(portal: Portal, exams: list[Exam], _: list[Booking]) -> None:
    total = portal.profile.exam_properties["total_bookings"]
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exams[0].id, **{total: "9"})


def booking_appears(portal: Portal, exams: list[Exam], _: list[Booking]) -> None:
    portal.booking(portal.student("charlie"), exams[1])


def booking_is_cancelled(portal: Portal, _: list[Exam], bookings: list[Booking]) -> None:
    cancelled = portal.profile.booking_states["cancelled"][0]
    name = portal.profile.booking_properties["is_active"]
    types = portal.profile.object_types
    portal.sandbox.edit(types.bookings, bookings[0].id, **{name: cancelled})


def booking_is_archived(portal: Portal, _: list[Exam], bookings: list[Booking]) -> None:
    portal.archive(bookings[0])


def booking_moves(portal: Portal, exams: list[Exam], bookings: list[Booking]) -> None:
    types = portal.profile.object_types
    portal.sandbox.dissociate(types.bookings, bookings[0].id, types.mock_exams, exams[0].id)
    portal.sandbox.associate(types.bookings, bookings[0].id, types.mock_exams, exams[1].id)


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "change",
    [
        exam_appears,
        exam_is_archived,
        exam_closes,
        exam_closes_and_is_refused,
        seats_change,
        booking_appears,
        booking_is_cancelled,
        booking_is_archived,
        booking_moves,
    ],
)
def test_who_has_answered_before_answers_as_who_knows_nothing(
    change: Callable[[Portal, list[Exam], list[Booking]], None],
    asked: Callable[[], Any],
    portal: Portal,
) -> None:
    exams = [portal.exam(in_days=3), portal.exam(in_days=4)]
    bookings = portal.bookings(portal.student("alice"), exams, 4)
    before = asked()
    change(portal, exams, bookings)

    remembering = asked()
    composition.close()

    assert remembering != before
    assert remembering == asked()


def test_what_cannot_be_read_beside_the_search_and_is_not_wanted_fails_nobody(
    asked: Callable[[], Any], portal: Portal
) -> None:
    gone, stays = portal.exam(in_days=3), portal.exam(in_days=4)
    assert [[row["mock_exam_id"] for row in rows] for rows in asked()] == [[gone.id, stays.id]] * 2
    exam_closes_and_is_refused(portal, [gone], [])

    assert [[row["mock_exam_id"] for row in rows] for rows in asked()] == [[stays.id]] * 2


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 6))))
def test_no_more_ids_are_remembered_than_there_is_room_for(noted: list[tuple[str, int]]) -> None:
    likely = LikelyIds(max_ids=10)
    for name, count in noted:
        ids = tuple(f"{name}{number}" for number in range(count))
        likely.note(name, ids)
        assert likely.of([name]) == frozenset(ids)

    assert len(likely.of("abcd")) <= 10
