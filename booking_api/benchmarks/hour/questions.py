"""A planned request as the call it is, with the right answer to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.test import Client

from booking_api.benchmarks.hour.oracle import Oracle
from booking_api.benchmarks.hour.plan import LISTS, Request
from booking_api.benchmarks.hour.portal_state import PortalState
from booking_api.benchmarks.portal_data import MOCK_TYPES, Student

HUBSPOT_CALLS = re.compile(r'hubspot;desc="([0-9]+) calls"')


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, the data, and how many calls to HubSpot it took."""

    status: int
    data: Any
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """`right_in` says what the data of the answer must have in a state of the portal."""

    path: str
    fields: Mapping[str, Any]
    right_in: Callable[[Oracle], Any]
    posted: bool = False

    @property
    def identity(self) -> Hashable:
        """What is equal for who asks the same again."""
        return (self.path, *self.fields.items())

    def ask(self, client: Client) -> Answer:
        """Return the answer, a list's and a booking's data flattened."""
        if self.posted:
            response = client.post(self.path, json.dumps(self.fields), "application/json")
        else:
            response = client.get(self.path, self.fields)
        data = json.loads(response.content).get("data")
        calls = HUBSPOT_CALLS.match(response.headers["Server-Timing"])
        if calls is None:
            raise RuntimeError(f"Server-Timing says: {response.headers['Server-Timing']}")
        return Answer(response.status_code, flatten_data(data), int(calls[1]))


def flatten_data(data: Any) -> Any:
    """Return pagination's, the booking's and the contact's fields beside the rest."""
    if not isinstance(data, dict):
        return data
    parts = [data.get(name) or {} for name in ("pagination", "contact", "booking")]
    return data | {name: value for part in parts for name, value in part.items()}


def make_question(request: Request, state: PortalState, now: datetime) -> Question:
    """Return the call a request makes at this moment."""
    student = state.students[request.student]
    bookings = list(state.bookings(student))
    if request.asked in {"available", "realtime"}:
        mock_type, realtime = pick_mock_type(request), request.asked == "realtime"
        return Question(
            path="/api/mock-exams/available",
            fields={"mock_type": mock_type, "realtime": str(realtime).lower()},
            right_in=lambda oracle: oracle.available(mock_type, realtime=realtime, now=now),
        )
    if request.asked == "credits":
        return Question(
            path="/api/mock-exams/validate-credits",
            fields={**student.pair, "mock_type": pick_mock_type(request)},
            right_in=lambda oracle: oracle.spendable(student, pick_mock_type(request)),
            posted=True,
        )
    if request.asked == "detail" and len(bookings) > 0:
        booking_id = bookings[int(request.choice * len(bookings))]
        return Question(
            path=f"/api/bookings/{booking_id}",
            fields=student.pair,
            right_in=lambda oracle: oracle.detail(student, booking_id, now),
        )
    return make_list_question(request, student, now)


def pick_mock_type(request: Request) -> str:
    return MOCK_TYPES[int(request.choice * len(MOCK_TYPES))]


def make_list_question(request: Request, student: Student, now: datetime) -> Question:
    wanted, page, limit = pick_list(request.choice)
    return Question(
        path="/api/bookings/list",
        fields={**student.pair, "filter": wanted, "page": page, "limit": limit},
        right_in=lambda oracle: oracle.booking_list(student, wanted, page, limit, now),
    )


def pick_list(choice: float) -> tuple[str, int, int]:
    left = choice * sum(LISTS.values())
    for page, weight in LISTS.items():
        left -= weight
        if left < 0:
            return page
    return next(iter(LISTS))
