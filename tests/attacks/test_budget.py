"""Nobody can use up what HubSpot lets us ask: monitors cost nothing, and a crowd only its share.

There is no cache here, so that every question for the available exams costs calls, and a window so
long that it does not end during a test: forty calls, twenty of them for whoever is anonymous.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.builders import Portal
from tests.server import Answer, Server

READY = "/api/ready"
AVAILABLE = "/api/mock-exams/available"
LIST = "/api/bookings/list"
QUESTIONS = 400
LIMIT, ANONYMOUS_PART = 40, 20
# One worker asks now and then while it is quiet, however long the test takes.
MAX_PROBES = 20


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return {
        "CACHE_ENABLED": "false",
        "HUBSPOT_RATE_LIMIT": str(LIMIT),
        "HUBSPOT_RATE_WINDOW_S": "600",
        "HUBSPOT_SEARCH_RATE": "1000",
        "THROTTLE_ANONYMOUS_CALLS": "",
    }


def test_four_hundred_questions_for_readiness_cost_no_call(server: Server, portal: Portal) -> None:
    portal.sandbox.clear_calls()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.get(READY), range(QUESTIONS)))

    assert {answer.status for answer in answers} == {200}
    assert portal.sandbox.calls_count() <= MAX_PROBES


@pytest.mark.chaos
def test_a_crowd_uses_up_its_share_and_a_student_is_served(server: Server, portal: Portal) -> None:
    portal.exam(in_days=3)
    alice = portal.student("alice")
    portal.sandbox.clear_calls()

    def ask(number: int) -> Answer:
        realtime = "true" if number % 2 else "false"
        return server.get(AVAILABLE, mock_type="clinical", realtime=realtime)

    with ThreadPoolExecutor(16) as pool:
        crowd = list(pool.map(ask, range(100)))
    asked_by_crowd = portal.sandbox.calls_count()
    student = server.get(LIST, **alice.pair)

    refused = [answer for answer in crowd if answer.status != 200]
    assert {(answer.status, answer.code) for answer in refused} == {(503, "RATE_LIMITED")}
    assert all(answer.body["retryAfter"] >= 1 for answer in refused)
    assert ANONYMOUS_PART - 4 <= asked_by_crowd <= ANONYMOUS_PART + MAX_PROBES / 2
    assert student.status == 200
    assert server.get(READY).status == 200
