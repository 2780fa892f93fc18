"""Calls and time of one list, one count of seats and one booking, in three systems side by side.

*naive* is the old system (`naive.py`), *batched* this one without its cache, *cached* this one asked
for the second time. All three speak to the same sandbox, 50 ms away, with HubSpot's limits on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.test import Client, override_settings

from booking_api import composition
from booking_api.benchmarks.naive import Naive
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
    naive: Callable[[Naive], object]
    path: str
    fields: Mapping[str, Any]


def measure(*, quick: bool) -> list[Cost]:
    """Return the costs; `quick` leaves out the list that the old system fails at."""
    with running_sandbox() as sandbox:
        questions = fill(PortalData(sandbox), quick=quick)
        sandbox.control("PATCH", "config", {"latency_ms": LATENCY_MS})
        costs = [naive_cost(sandbox, asked) for asked in questions]
        with application(sandbox, CacheConfig(enabled=False)) as client:
            costs += [cost(sandbox, client, asked, "batched") for asked in questions]
        with application(sandbox, CacheConfig()) as client:
            for asked in questions:
                cost(sandbox, client, asked, "cold")
                costs.append(cost(sandbox, client, asked, "cached"))
        return costs


def fill(data: PortalData, *, quick: bool) -> list[Question]:
    exams = [data.exam(in_days=1 + day, mock_type="osce", taken=10) for day in range(20)]
    for exam_id in exams:
        for _ in range(10):
            data.booking(data.student(), exam_id, mock_type="osce")
    single = data.student()
    booking_id = data.booking(single, data.exam(in_days=30))
    few = data.student_with(bookings=50, exams=10)
    questions = [
        list_of("list, 50 bookings of 10 exams", few),
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
        many = data.student_with(bookings=500, exams=100)
        questions.insert(1, list_of("list, 500 bookings of 100 exams", many))
    return questions


def list_of(name: str, student: Student) -> Question:
    return Question(
        name, lambda naive: naive.booking_list(student), "/api/bookings/list", student.pair
    )


def naive_cost(sandbox: Sandbox, asked: Question) -> Cost:
    start_afresh(sandbox)
    config = config_of(sandbox.url)
    client = build_client(config)
    context = CallContext(deadline=Deadline.after(config.request_deadline_s))
    failure = ""
    started_s = time.monotonic()
    try:
        asked.naive(Naive(client.transport, context))
    except HubSpotError as error:
        failure = error.message
    took_ms = (time.monotonic() - started_s) * 1000
    client.close()
    calls = sandbox.calls_count()
    return Cost(question=asked.name, system="naive", calls=calls, took_ms=took_ms, failure=failure)


def cost(sandbox: Sandbox, client: Client, asked: Question, system: str) -> Cost:
    start_afresh(sandbox)
    started_s = time.monotonic()
    response = client.get(asked.path, asked.fields)
    took_ms = (time.monotonic() - started_s) * 1000
    failure = "" if response.status_code == 200 else f"status {response.status_code}"
    calls = sandbox.calls_count()
    return Cost(question=asked.name, system=system, calls=calls, took_ms=took_ms, failure=failure)


def start_afresh(sandbox: Sandbox) -> None:
    sandbox.control("POST", "clock", {"advance_s": WINDOW_S})
    sandbox.clear_calls()


@contextmanager
def application(sandbox: Sandbox, cache: CacheConfig) -> Iterator[Client]:
    """Point this process's application at the sandbox, with nothing remembered."""
    composition.close()
    with override_settings(
        HUBSPOT=config_of(sandbox.url),
        HUBSPOT_PORTAL="default",
        CACHE=cache,
        CORRECT_COUNTS=False,
        REDIS_URL="",
    ):
        yield Client()
        composition.close()


def config_of(url: str) -> HubSpotConfig:
    return HubSpotConfig(base_url=url, token=TOKEN)
