"""HubSpot answers 200 and says nothing: nobody is told that there are no exams, or no bookings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.api import Api, connected
from tests.builders import Exam, Portal
from tests.desk import create

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"
LIST = "/api/bookings/list"
SYNC = "/api/mock-exams/sync-capacity"
SECRET = "a-scheduler's-own-secret"
NO_SEARCH: dict[str, dict[str, Any]] = {
    "no list": {"total": 1, "results": None},
    "no rows": {"total": 25, "results": []},
}


@pytest.fixture
def hasty(settings: Settings, portal: Portal) -> Iterator[Api]:
    """An API that asks HubSpot twice and no more."""
    settings.CRON_SECRET = SECRET
    with connected(settings, portal.sandbox, max_attempts=2) as api:
        yield api


def listed(api: Api, exam: Exam) -> list[str]:
    reply = api.get(AVAILABLE, mock_type=exam.mock_type)
    return [row["mock_exam_id"] for row in reply.data]


@pytest.mark.parametrize("body", NO_SEARCH.values(), ids=NO_SEARCH)
def test_a_search_without_an_answer_is_asked_again(
    body: dict[str, Any], hasty: Api, portal: Portal
) -> None:
    exam = portal.exam()
    portal.sandbox.fault("status", path="search", status=200, body=body, times=1)

    assert listed(hasty, exam) == [exam.id]


@pytest.mark.parametrize("body", NO_SEARCH.values(), ids=NO_SEARCH)
def test_a_search_that_is_never_answered_is_an_error_and_not_an_empty_list(
    body: dict[str, Any], hasty: Api, portal: Portal
) -> None:
    exam = portal.exam()
    portal.sandbox.fault("status", path="search", status=200, body=body)

    offered = hasty.get(AVAILABLE, mock_type=exam.mock_type)
    synced = hasty.send("POST", SYNC, headers={"Authorization": f"Bearer {SECRET}"})

    assert (offered.status, offered.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert (synced.status, synced.code) == (503, "HUBSPOT_UNAVAILABLE")

    portal.sandbox.clear_faults()
    assert listed(hasty, exam) == [exam.id]


@pytest.mark.parametrize("path", ["0-1/batch/read", "associations", "2-50158943/batch/read"])
def test_a_read_that_is_never_answered_is_an_error_and_not_an_empty_list(
    path: str, hasty: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    portal.sandbox.fault("status", path=path, status=200, body={"results": None})

    assert hasty.get(LIST, **alice.pair).code == "HUBSPOT_UNAVAILABLE"

    portal.sandbox.clear_faults()
    data = hasty.get(LIST, **alice.pair).data
    assert [row["id"] for row in data["bookings"]] == [booking.id]


@pytest.mark.parametrize("status", [520, 530])
def test_hubspots_edge_is_asked_again_by_readers_and_by_the_desk(
    status: int, hasty: Api, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    portal.sandbox.fault("status", path="0-1/batch/read", status=status, nth=[1, 3])

    assert hasty.get(LIST, **alice.pair).status == 200
    assert create(hasty, alice, exam).status == 201
