"""The old system behind this project's HTTP server and middleware: the same addresses, its calls.

It asks through the same client as the application, within the same limit: where HubSpot has no room
for a call, the call waits for some as long as the request may take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from booking_api import composition
from booking_api.benchmarks.old_system import OldSystem
from booking_api.benchmarks.portal_data import EXAMS, Student
from booking_api.urls import urlpatterns as served
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

GIVEN_BY_BUILDERS = len("S9")


class NaiveSystem(OldSystem):
    """With what it did for the exams of a type, whose stored counts come with the search: 1."""

    def available(self, mock_type: str) -> Sequence[str]:
        return self._search(EXAMS, "mock_type", mock_type)


def ask(question: Callable[[NaiveSystem], HttpResponse]) -> HttpResponse:
    """Return the old system's answer, or that there was no room for it in time."""
    # All that HubSpot's limit has: of what is kept for others here it knew nothing.
    context = CallContext(
        deadline=Deadline.after(settings.HUBSPOT.request_deadline_s), priority=Priority.DESK
    )
    try:
        return question(NaiveSystem(composition.services().client.transport, context))
    except HubSpotError:
        return answer(503, {"success": False, "code": "HUBSPOT_UNAVAILABLE"})


def found(data: object, status: int = 200) -> HttpResponse:
    return answer(status, {"success": True, "data": data})


def answer(status: int, body: dict[str, object]) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


def student_of(said: Any) -> Student:
    """Who asks. The contact's id, which it found by its search, is in the name that tests' builders
    give a student."""
    student_id = said["student_id"]
    return Student(f"1{student_id[GIVEN_BY_BUILDERS:]}", student_id, said["email"])


def answer_list(request: HttpRequest) -> HttpResponse:
    return ask(lambda old: found(old.booking_list(student_of(request.GET))))


def answer_available(request: HttpRequest) -> HttpResponse:
    return ask(lambda old: found(old.available(request.GET["mock_type"])))


@csrf_exempt
def answer_create(request: HttpRequest) -> HttpResponse:
    said = orjson.loads(request.body)

    def book(old: NaiveSystem) -> HttpResponse:
        student = student_of(said)
        record_id = old.naive_create(student, said["mock_exam_id"])
        if record_id is None:
            return answer(400, {"success": False, "code": "EXAM_FULL"})
        old.naive_note(student)
        return found({"booking_record_id": record_id}, 201)

    return ask(book)


urlpatterns = [
    path("api/bookings/list", answer_list),
    path("api/mock-exams/available", answer_available),
    path("api/bookings/create", answer_create),
    *served,
]
