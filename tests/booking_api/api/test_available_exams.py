"""`GET /api/mock-exams/available`."""

from __future__ import annotations

from datetime import time

import pytest

from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

AVAILABLE = "/api/mock-exams/available"


def test_an_exam_is_shown_with_its_seats(api: Api, portal: Portal) -> None:
    exam = portal.exam(in_days=5, capacity=20, total_bookings=18)

    assert api.get(AVAILABLE, mock_type="clinical").data == [
        {
            "mock_exam_id": exam.id,
            "exam_date": exam.day.isoformat(),
            "start_time": "09:00",
            "end_time": "13:00",
            "mock_type": "clinical",
            "capacity": 20,
            "total_bookings": 18,
            "available_slots": 2,
            "location": "Mississauga",
            "is_active": True,
            "status": "limited",
        }
    ]


def test_exams_come_by_date_and_then_by_start(api: Api, portal: Portal) -> None:
    later = portal.exam(in_days=9)
    afternoon = portal.exam(in_days=2, start=time(14), end=time(18))
    morning = portal.exam(in_days=2, start=time(9), end=time(13))

    data = api.get(AVAILABLE, mock_type="clinical").data

    assert [row["mock_exam_id"] for row in data] == [morning.id, afternoon.id, later.id]


def test_what_cannot_be_booked_is_not_shown(api: Api, portal: Portal) -> None:
    portal.exam(in_days=-1)
    portal.exam(in_days=3, active=False)
    portal.exam(in_days=3, mock_type="osce")
    open_ = portal.exam(in_days=3)

    data = api.get(AVAILABLE, mock_type="clinical").data

    assert [row["mock_exam_id"] for row in data] == [open_.id]


def test_an_exam_that_search_still_calls_active_is_not_shown(api: Api, portal: Portal) -> None:
    exam = portal.exam(in_days=3)
    portal.sandbox.configure(search_lag_s=30)
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, is_active="false")

    assert api.get(AVAILABLE, mock_type="clinical").data == []


def test_full_exams_are_shown_unless_asked_not_to(api: Api, portal: Portal) -> None:
    full = portal.exam(in_days=3, capacity=4, total_bookings=4)
    free = portal.exam(in_days=4, capacity=4, total_bookings=0)

    everything = api.get(AVAILABLE, mock_type="clinical").data
    with_seats = api.get(AVAILABLE, mock_type="clinical", include_capacity="false").data

    assert [(row["mock_exam_id"], row["status"]) for row in everything] == [
        (full.id, "full"),
        (free.id, "available"),
    ]
    assert [row["mock_exam_id"] for row in with_seats] == [free.id]


def test_every_exam_is_shown_however_many_there_are(api: Api, portal: Portal) -> None:
    with portal.at_once():
        exams = [portal.exam(in_days=1 + number % 50) for number in range(230)]

    data = api.get(AVAILABLE, mock_type="clinical").data

    assert {row["mock_exam_id"] for row in data} == {exam.id for exam in exams}


@pytest.mark.django_db(transaction=True)
def test_realtime_counts_the_bookings_themselves(api: Api, portal: Portal) -> None:
    exam, bookings = portal.exam_with_bookings(6, total_bookings=1, capacity=20)
    portal.archive(bookings[0])
    portal.booking(portal.student("alice"), exam, state="cancelled")
    empty = portal.exam(in_days=30, total_bookings=9)

    stored = api.get(AVAILABLE, mock_type="clinical").data
    counted = api.get(AVAILABLE, mock_type="clinical", realtime="true").data

    assert {row["mock_exam_id"]: row["total_bookings"] for row in stored} == {
        exam.id: 1,
        empty.id: 9,
    }
    assert {row["mock_exam_id"]: row["total_bookings"] for row in counted} == {
        exam.id: 5,
        empty.id: 0,
    }


@pytest.mark.django_db(transaction=True)
def test_an_exam_with_620_bookings_is_counted_whole(api: Api, portal: Portal) -> None:
    portal.exam_with_bookings(620, capacity=700, total_bookings=0)

    (row,) = api.get(AVAILABLE, mock_type="clinical", realtime="true").data

    assert (row["total_bookings"], row["available_slots"]) == (620, 80)


@pytest.mark.parametrize(
    "part",
    [
        "objects/2026-09/2-50158913/batch/read",
        "associations/2026-09/2-50158913/2-50158943/batch/read",
        "objects/2026-09/2-50158943/batch/read",
    ],
)
def test_a_count_of_which_part_is_unknown_is_no_count(part: str, api: Api, portal: Portal) -> None:
    portal.exam_with_bookings(4)
    portal.sandbox.fault("partial", path=part, last=1)

    reply = api.get(AVAILABLE, mock_type="clinical", realtime="true")

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")


@pytest.mark.parametrize(
    "query", [{}, {"mock_type": ""}, {"mock_type": "ballet"}, {"mock_type": "Clinical"}]
)
def test_an_unknown_type_is_refused(query: dict[str, str], api: Api) -> None:
    reply = api.get(AVAILABLE, **query)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.body["validationErrors"][0].startswith("mock_type: ")


def test_a_switch_that_is_neither_true_nor_false_is_refused(api: Api) -> None:
    reply = api.get(AVAILABLE, mock_type="clinical", realtime="perhaps")

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
