"""Bodies that are framed to be misread, too large or unfinished; addresses with raw signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from django.utils import timezone

from tests.builders import Portal
from tests.raw import RawAnswer, in_chunks, request_head, send_raw
from tests.server import Server
from tests.webhooks import SECRET, signed

CRON = "a secret of sixteen characters and more"
SYNC = "/api/mock-exams/sync-capacity"
WEBHOOKS = "/api/webhooks/booking-sync"


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return {
        "CRON_SECRET": CRON,
        "HUBSPOT_WEBHOOK_SECRET": SECRET,
        "BODY_TIMEOUT_S": "1",
    }


def send(server: Server, target: str, raw: bytes, *headers: str) -> RawAnswer:
    host = server.base_url.removeprefix("http://")
    more = ("Content-Type: application/json", "Origin: https://booking.example.org", *headers)
    return send_raw(server.base_url, request_head("POST", target, *more, host=host) + raw)


def assert_envelope(answer: RawAnswer, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_dry_run_in_chunks_stays_one(server: Server, portal: Portal) -> None:
    exam = portal.exam(total_bookings="7")
    asked = json.dumps({"mock_exam_ids": [exam.id], "dry_run": True}).encode()
    credentials = (f"Authorization: Bearer {CRON}", "Transfer-Encoding: chunked")

    whole = send(server, SYNC, in_chunks([asked[:9], asked[9:]]), *credentials)
    assert whole.body["data"]["mode"] == "dry_run"
    assert whole.body["data"]["summary"]["processed"] == 1

    assert send(server, SYNC, b"zz\r\n", *credentials).status == 400
    for unended in (b"", in_chunks([asked[:9], asked[9:]])[:-5]):
        assert send(server, SYNC, unended, *credentials).status == 408
    packed = send(server, SYNC, b"0\r\n\r\n", credentials[0], "Transfer-Encoding: gzip, chunked")
    assert_envelope(packed, 411, "LENGTH_REQUIRED")


@pytest.mark.parametrize("query", ["", "?a=b|c", "?a={b}&c=^e`f'", "?a=b%2Fc", "?a=%7Bb%7D"])
def test_a_delivery_is_signed_as_it_was_sent(query: str, server: Server) -> None:
    moment = int((timezone.now() - timedelta(seconds=1)).timestamp() * 1000)
    body = json.dumps([{"eventId": moment, "subscriptionType": "x.y"}]).encode()
    # Of what is percent-encoded HubSpot decodes some signs, a slash and no brace among them.
    url = server.base_url + WEBHOOKS + query.replace("%2F", "/")
    headers = [f"{name}: {value}" for name, value in signed(body, url).items()]

    answer = send(
        server, WEBHOOKS + query, in_chunks([body]), "Transfer-Encoding: chunked", *headers
    )

    assert answer.status == 200, answer


def test_what_is_too_large_is_refused_by_its_length(server: Server) -> None:
    for target, size in ((SYNC, 1_048_577), (WEBHOOKS, 8_388_609)):
        answer = send(server, target, b"{", f"Content-Length: {size}")
        assert_envelope(answer, 413, "PAYLOAD_TOO_LARGE")


def test_what_does_not_come_is_refused_in_time_and_counted(server: Server) -> None:
    answer = send(server, SYNC, b"{", "Content-Length: 2")
    page = send(server, "/admin/login/", b"a", "Content-Length: 2")

    assert_envelope(answer, 408, "REQUEST_TIMEOUT")
    assert page.status == 408
    assert page.headers["content-type"] == "text/plain"
    metrics = server.get("/metrics").body.decode()
    assert 'mocks_request_seconds_count{method="POST",route="other",status="408"}' in metrics


def test_an_answer_without_a_body_leaves_the_connection_to_the_next(server: Server) -> None:
    """Whatever the condition holds: it is no reason to hang up, and never a server's error."""
    target = "/api/mock-exams/available?mock_type=clinical"
    connection = HTTPConnection(server.base_url.removeprefix("http://"))

    def ask(tags: str | bytes) -> tuple[int, bool, str]:
        """Return the status, whether a body came, and its tag."""
        connection.request("GET", target, headers={"If-None-Match": tags})
        answer = connection.getresponse()
        return answer.status, answer.read() != b"", answer.headers["ETag"]

    tag = ask("")[2]
    many = ",".join(f'"{number:032x}"' for number in range(1_000))
    odd = [b'"\xff\xfe"', b"\xe2\x82", '"' * 9_000, many]
    told = [ask(tags)[:2] for tags in (tag, *odd, "*", tag)]
    connection.close()

    assert told == [(304, False), *[(200, True)] * len(odd), (304, False), (304, False)]
