"""Calls and time of one list, one count of seats and one booking, in three systems side by side.

*naive* is the old system (`old_system.py`), *batched* this one without its cache, *cached* this one
asked for the second time. All three speak to the same sandbox, 50 ms away, under HubSpot's limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.test import Client, override_settings

from booking_api import composition
from booking_api.benchmarks.old_system import OldSystem
from booking_api.benchmarks.portal_data import PortalData, Student
from booking_api.benchmarks.processes import TOKEN, Sandbox, running_sandbox
from cache_layer import CacheConfig
from hubspot_sync.client import build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline

LATENCY_MS = 50
# HubSpot's longest window: after it, nothing that was measured before counts any more.
WINDOW_S = 11.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one question cost; `failure` says why there was no answer."""

    question: str
    system: str
    calls: int
    took_ms: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question as each system is asked it."""

    name: str
    naive: Callable[[OldSystem], object]
    path: str
    fields: Mapping[str, Any]


def measure(*, quick: bool) -> list[Cost]:
    """Return the costs; `quick` leaves out the list that the old system fails at."""
    with running_sandbox() as sandbox:
        questions = fill_sandbox(PortalData(sandbox), quick=quick)
        sandbox.control("PATCH", "config", {"latency_ms": LATENCY_MS})
        costs = [measure_old_system(sandbox, question) for question in questions]
        with running_application(sandbox, CacheConfig(enabled=False)) as client:
            costs += [
                measure_application(sandbox, client, question, "batched") for question in questions
            ]
        with running_application(sandbox, CacheConfig()) as client:
            for question in questions:
                measure_application(sandbox, client, question, "cold")
                costs.append(measure_application(sandbox, client, question, "cached"))
        return costs


def fill_sandbox(data: PortalData, *, quick: bool) -> list[Question]:
    exams = [data.add_exam(in_days=1 + day, mock_type="osce", taken=10) for day in range(20)]
    for exam_id in exams:
        for _ in range(10):
            data.add_booking(data.add_student(), exam_id, mock_type="osce")
    single = data.add_student()
    booking_id = data.add_booking(single, data.add_exam(in_days=30))
    few = data.add_student_with(bookings=50, exams=10)
    questions = [
        list_question("list, 50 bookings of 10 exams", few),
        Question(
            "seats counted, 20 exams of 10 bookings",
            lambda naive: naive.realtime("osce"),
            "/api/mock-exams/available",
            {"mock_type": "osce", "realtime": "true"},
        ),
        Question(
            "one booking",
            lambda naive: naive.booking(single, booking_id),
            f"/api/bookings/{booking_id}",
            single.pair,
        ),
    ]
    if not quick:
        many = data.add_student_with(bookings=500, exams=100)
        questions.insert(1, list_question("list, 500 bookings of 100 exams", many))
    return questions


def list_question(name: str, student: Student) -> Question:
    return Question(
        name, lambda naive: naive.booking_list(student), "/api/bookings/list", student.pair
    )


def measure_old_system(sandbox: Sandbox, question: Question) -> Cost:
    reset_counts(sandbox)
    config = hubspot_config(sandbox.url)
    client = build_client(config)
    context = CallContext(deadline=Deadline.after(config.request_deadline_s))
    failure = ""
    started_s = time.monotonic()
    try:
        question.naive(OldSystem(client.transport, context))
    except HubSpotError as error:
        failure = error.message
    took_ms = (time.monotonic() - started_s) * 1000
    client.close()
    calls = sandbox.calls_count()
    return Cost(
        question=question.name, system="naive", calls=calls, took_ms=took_ms, failure=failure
    )


def measure_application(sandbox: Sandbox, client: Client, question: Question, system: str) -> Cost:
    reset_counts(sandbox)
    started_s = time.monotonic()
    response = client.get(question.path, question.fields)
    took_ms = (time.monotonic() - started_s) * 1000
    failure = "" if response.status_code == 200 else f"status {response.status_code}"
    calls = sandbox.calls_count()
    return Cost(
        question=question.name, system=system, calls=calls, took_ms=took_ms, failure=failure
    )


def reset_counts(sandbox: Sandbox) -> None:
    sandbox.control("POST", "clock", {"advance_s": WINDOW_S})
    sandbox.clear_calls()


@contextmanager
def running_application(sandbox: Sandbox, cache: CacheConfig) -> Iterator[Client]:
    """Point this process's application at the sandbox, with nothing remembered."""
    composition.close()
    with override_settings(
        HUBSPOT=hubspot_config(sandbox.url),
        HUBSPOT_PORTAL="default",
        CACHE=cache,
        CORRECT_COUNTS=False,
        REDIS_URL="",
    ):
        yield Client()
        composition.close()


def hubspot_config(url: str) -> HubSpotConfig:
    # The database, where what webhooks told of lies, is somebody's own.
    return HubSpotConfig(base_url=url, token=TOKEN, search_lag_s=0)
