"""A counter that cannot be written costs nobody an answer, and no work that was done."""

from __future__ import annotations

import errno
from typing import NoReturn

import pytest
from prometheus_client import Counter, Gauge, Histogram

from booking_api.ops.metrics import metrics
from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no more memory for what metrics are written to."""
    metrics()

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(Counter, "inc", refuse)
    monkeypatch.setattr(Histogram, "observe", refuse)
    monkeypatch.setattr(Gauge, "set", refuse)


@pytest.mark.usefixtures("full")
def test_a_list_is_answered_although_nothing_can_be_counted(api: Api, portal: Portal) -> None:
    exam = portal.exam()

    answer = api.get("/api/mock-exams/available", mock_type=portal.first_type.value)

    assert answer.status == 200
    assert exam.id in str(answer.data)


@pytest.mark.usefixtures("full")
def test_a_job_that_was_done_did_not_fail() -> None:
    with metrics().jobs.running("recount"):
        pass
