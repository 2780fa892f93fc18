"""Part of an answer failed: the caller is told so, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from tests.api import Api, connected
from tests.builders import Portal, Student

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
CREDITS = "/api/mock-exams/validate-credits"
# The calls of a cold list, of seats and of credits, one after the other.
CALLS = {
    "contact": "objects.*0-1.*batch/read",
    "which bookings": "associations.*0-1/2-50158943.*batch/read",
    "bookings": "objects.*2-50158943.*batch/read",
    "which exams": "associations.*2-50158943/2-50158913.*batch/read",
    "exams": "objects.*2-50158913.*batch/read",
    "bookings of exams": "associations.*2-50158913/2-50158943.*batch/read",
    "search": "search",
}
FAULTS: dict[str, dict[str, Any]] = {
    "207 with an unknown": {"action": "partial", "last": 1},
    "failed": {"action": "status", "status": 500},
    "429": {"action": "status", "status": 429},
    "cut": {"action": "cut_before"},
}
Ask = Callable[[], Any]


@pytest.fixture
def impatient(settings: Settings, portal: Portal) -> Iterator[Api]:
    """An API that tries once: a fault is an error at once, not a retry."""
    with connected(
        settings, portal.sandbox, max_attempts=1, breaker_failures=10_000
    ) as connected_api:
        yield connected_api


def questions(api: Api, portal: Portal, alice: Student) -> dict[str, Ask]:
    return {
        "list": lambda: api.get(LIST, **alice.pair),
        "available": lambda: api.get(AVAILABLE, mock_type="clinical"),
        "realtime": lambda: api.get(AVAILABLE, mock_type="clinical", realtime="true"),
        "credits": lambda: api.post(CREDITS, mock_type="clinical", **alice.pair),
    }


CONCERNS = {
    "list": ("contact", "which bookings", "bookings", "which exams", "exams"),
    "available": ("search", "exams"),
    "realtime": ("search", "exams", "bookings of exams", "bookings"),
    "credits": ("contact",),
}
CASES = [
    (question, call, fault)
    for question, calls in CONCERNS.items()
    for call in calls
    for fault in FAULTS
    if not (call == "search" and fault == "207 with an unknown")
]


@pytest.mark.sampled(12)
@pytest.mark.parametrize(("question", "call", "fault"), CASES)
def test_what_failed_in_part_is_said_and_not_kept(
    question: str, call: str, fault: str, impatient: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    with portal.at_once():
        exams = [portal.exam(in_days=1 + day, total_bookings=1) for day in range(3)]
    portal.bookings(alice, exams)
    ask = questions(impatient, portal, alice)[question]
    portal.sandbox.fault(path=CALLS[call], **FAULTS[fault])

    broken = ask()
    portal.sandbox.clear_faults()
    healed = ask()

    assert broken.status == 503, broken.body
    assert healed.status == 200
    portal.sandbox.clear_calls()
    assert ask().data == healed.data
    assert portal.sandbox.calls_count() == 0
    if question == "list":
        assert len(healed.data["bookings"]) == 3


def test_one_failed_chunk_of_several_keeps_nothing(impatient: Api, portal: Portal) -> None:
    """150 bookings are two batches; the second fails, and the page is neither shown nor kept."""
    alice = portal.student("alice")
    portal.bookings(alice, [portal.exam(in_days=2)], 150)
    portal.sandbox.fault("status", path=CALLS["bookings"], status=500, nth=2)

    broken = impatient.get(LIST, **alice.pair)
    portal.sandbox.clear_faults()

    assert broken.status == 503
    pages = composition.services().cached.cache.backend.scan_keys()
    assert [key for page in pages for key in page if key.startswith("booking")] == []
    assert impatient.get(LIST, **alice.pair).data["pagination"]["total"] == 150


def test_what_does_not_exist_is_not_remembered(api: Api, portal: Portal) -> None:
    """A contact's absence is no entry: only the pair that was refused is remembered for a while."""
    wrong = {"student_id": "S9999", "email": "alice.moreau.s1001@example.org"}
    assert api.get(LIST, **wrong).code == "AUTH_FAILED"

    alice = portal.student("alice")

    assert alice.email == wrong["email"]
    assert api.get(LIST, **alice.pair).status == 200
