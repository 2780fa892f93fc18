"""What a crowd was answered, told as attempts to book."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.builders import Exam, Student
from tests.load.promises import attempts_of
from tests.load.test_judge import deed

ALICE = Student(
    id="1", student_id="S1", email="a@example.org", firstname="A", lastname="M", credits={}
)
EXAM = Exam(
    id="5",
    mock_type="clinical",
    day=date(2026, 12, 1),
    start_time="09:00",
    end_time="13:00",
    location="London",
    capacity=20,
    total_bookings=0,
)


def create(**changes: Any) -> Any:
    return deed(**{"what": "create", "offer_id": "5", "key": "k", **changes})


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([create(status=201, record_id="9")], "booked"),
        ([create(status=503), create(status=200, record_id="9")], "booked"),
        ([create(status=503)], "unclear"),
        ([create(status=0)], "unclear"),
        ([create(status=409, code="REQUEST_IN_PROGRESS")], "unclear"),
        ([create(status=503), create(status=400, code="EXAM_FULL")], "refused"),
        ([create(status=201, record_id="9"), deed(what="cancel", key="k")], "cancelled"),
        ([create(status=201, record_id="9"), deed(what="cancel", key="k", status=503)], "booked"),
    ],
)
def test_what_became_of_a_booking_is_what_was_answered_last(
    answers: list[Any], outcome: str
) -> None:
    (attempt,) = attempts_of([deed(), *answers], [ALICE], [EXAM])

    assert attempt.outcome == outcome
    assert attempt.cancel_asked == any(each.what == "cancel" for each in answers)
