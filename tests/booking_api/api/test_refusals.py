"""Bodies that came without their length, under a server that is not ours; and a late start."""

from __future__ import annotations

import io
import time

import orjson
import pytest
from pytest_django import Settings

from tests.api import Api
from tests.builders import Portal

VALIDATE = "/api/mock-exams/validate-credits"
WEBHOOKS = "/api/webhooks/booking-sync"


def in_chunks(body: bytes, *, is_terminated: bool) -> dict[str, object]:
    """Return what a server puts into the environ for a body in chunks, which has no length."""
    return {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": is_terminated,
    }


@pytest.mark.parametrize("path", [VALIDATE, WEBHOOKS, "/api/mock-exams/sync-capacity"])
def test_a_body_that_the_server_left_in_chunks_wants_a_length(path: str, api: Api) -> None:
    origin = {"Origin": "https://booking.example.org"}

    reply = api.send("POST", path, headers=origin, **in_chunks(b"{}", is_terminated=False))

    assert (reply.status, reply.code) == (411, "LENGTH_REQUIRED")
    assert reply.body["request_id"] == reply.headers["X-Request-ID"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def test_a_page_says_so_in_words(api: Api) -> None:
    reply = api.send("POST", "/admin/login/", **in_chunks(b"a=1", is_terminated=False))

    assert reply.status == 411
    assert reply.headers["Content-Type"] == "text/plain"


def test_a_body_whose_chunks_the_server_has_joined_is_read(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    body = orjson.dumps(alice.pair | {"mock_type": "clinical"})

    reply = api.send("POST", VALIDATE, **in_chunks(body, is_terminated=True))

    assert reply.data["student_name"] == alice.name


def test_a_joined_body_has_a_limit_too(api: Api, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = settings.MAX_WEBHOOK_BODY_BYTES = 100

    reply = api.send("POST", VALIDATE, **in_chunks(b" " * 101, is_terminated=True))

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")


def test_a_request_that_waited_for_its_thread_has_less_time_left(
    api: Api, portal: Portal, settings: Settings
) -> None:
    alice = portal.student("alice")
    waited_s = settings.HUBSPOT.request_deadline_s + 1

    arrived = {"booking_api.arrived_s": time.monotonic() - waited_s}
    reply = api.send("GET", "/api/bookings/list", query=alice.pair, **arrived)

    assert reply.status == 503
    assert reply.code == "HUBSPOT_UNAVAILABLE"
