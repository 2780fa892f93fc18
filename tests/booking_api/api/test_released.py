"""What is left of a request once it is answered: nothing that waits for the collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tests.api import Api
from tests.builders import Portal, Student

pytestmark = pytest.mark.django_db(transaction=True)

WEBHOOK, CREDITS = "/api/webhooks/booking-sync", "/api/mock-exams/validate-credits"


@pytest.fixture
def alice(api: Api, portal: Portal) -> Student:
    """With a booking; `api` has put the application together."""
    student = portal.student("alice")
    portal.booking(student, portal.exam(in_days=3))
    return student


@pytest.fixture
def circles() -> Iterator[list[Any]]:
    """What a collection finds, in place of what would be freed; none happens meanwhile."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def ask(method: str, path: str, query: dict[str, str], body: bytes = b"") -> str:
    """Ask as a server does: a test client keeps requests and answers."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": urlencode(query),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "10.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    response = WSGIHandler()(environ, lambda status, *_: statuses.append(status))
    b"".join(response)
    response.close()
    return statuses[0][:3]


def questions(student: Student) -> dict[str, tuple[str, str, dict[str, str], bytes, str]]:
    """Method, path, query, body, and the status of the answer."""
    pair = dict(student.pair)
    body = orjson.dumps({**pair, "mock_type": "clinical"})
    return {
        "list": ("GET", "/api/bookings/list", pair, b"", "200"),
        "exams": ("GET", "/api/mock-exams/available", {"mock_type": "clinical"}, b"", "200"),
        "credits": ("POST", CREDITS, {}, body, "200"),
        "no JSON": ("POST", CREDITS, {}, b"{", "400"),
        "unsigned webhook": ("POST", WEBHOOK, {}, b"[]", "401"),
        "health": ("GET", "/api/health", {}, b"", "200"),
    }


@pytest.mark.parametrize(
    "name", ["list", "exams", "credits", "no JSON", "unsigned webhook", "health"]
)
def test_a_request_and_its_answer_are_gone_once_it_is_answered(
    name: str, alice: Student, circles: list[Any]
) -> None:
    method, path, query, body, status = questions(alice)[name]

    assert ask(method, path, query, body) == status
    gc.collect()

    left = [each for each in circles if isinstance(each, HttpRequest | HttpResponseBase)]
    assert left == []
