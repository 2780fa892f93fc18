"""One call on the wire: what is sent, what counts as an answer, how long it may take."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hubspot_sync.client import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import HubSpotError, NotFound, RateLimited, Refused, Unavailable
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter, CallRecord
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.transport import Answer, Request
from tests.hubspot_sync.clients import asking, client_of
from tests.hubspot_sync.wire_server import answers, reply, wire_server
from tests.sandbox import TOKEN

READ = Request(operation=Operation.BATCH_READ, object_type="0-1", body={"inputs": [{"id": "1"}]})
CREATE = Request(operation=Operation.BATCH_CREATE, object_type="0-1", body={"inputs": []})
UPDATE = Request(operation=Operation.BATCH_UPDATE, object_type="0-1", body={"inputs": []})
EMPTY = reply(b'{"results":[]}')


def call(client: HubSpotClient, request: Request = READ, seconds: float = 10.0) -> Answer:
    return client.transport.call(request, asking(seconds))


def failure(client: HubSpotClient, request: Request = READ, seconds: float = 10.0) -> HubSpotError:
    with pytest.raises(HubSpotError) as raised:
        call(client, request, seconds)
    return raised.value


def test_a_call_says_who_we_are_and_what_we_want() -> None:
    with wire_server(answers(EMPTY)) as server, client_of(server.base_url) as client:
        call(client)

    head, body = server.requests[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /crm/objects/2026-09/0-1/batch/read HTTP/1.1")
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert body == b'{"inputs":[{"id":"1"}]}'


def test_connections_are_kept_and_shared() -> None:
    ports = set()

    def behave(connection: socket.socket, _number: int) -> bool:
        ports.add(connection.getpeername())
        connection.sendall(EMPTY)
        return True

    with wire_server(behave) as server, client_of(server.base_url) as client:
        for _ in range(5):
            call(client)

    assert len(ports) == 1


def test_cookies_are_not_kept() -> None:
    """Threads share the session; a jar that is read while another thread fills it breaks."""
    baked = reply(b'{"results":[]}', headers="Set-Cookie: __cf_bm=1; path=/\r\n")
    with wire_server(answers(baked)) as server, client_of(server.base_url) as client:
        for _ in range(2):
            call(client)

    assert b"cookie" not in server.requests[1].lower()


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    def behave(connection: socket.socket, number: int) -> bool:
        connection.sendall(EMPTY)
        return number != 1

    with wire_server(behave) as server, client_of(server.base_url) as client:
        assert [call(client).status for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("200 OK", Unavailable),
        ("404 Not Found", Unavailable),
        ("400 Bad Request", Unavailable),
        ("418 I'm a teapot", Unavailable),
        ("302 Found", Unavailable),
    ],
)
def test_a_page_that_is_not_hubspots_is_unavailable(status: str, error: type[HubSpotError]) -> None:
    page = reply(b"<html>Down for maintenance</html>", status=status)
    with wire_server(answers(page)) as server, client_of(server.base_url) as client:
        raised = failure(client, CREATE)

    assert type(raised) is error
    assert raised.may_have_taken_effect
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", Refused),
        ("401 Unauthorized", Refused),
        ("403 Forbidden", Refused),
        ("404 Not Found", NotFound),
        ("409 Conflict", Refused),
        ("418 I'm a teapot", Unavailable),
    ],
)
def test_answers_become_errors_of_our_tree(status: str, error: type[HubSpotError]) -> None:
    body = b'{"status":"error","message":"No.","category":"SOME","correlationId":"c-1"}'
    with (
        wire_server(answers(reply(body, status=status))) as server,
        client_of(server.base_url) as client,
    ):
        raised = failure(client)

    assert type(raised) is error
    assert raised.status == int(status[:3])
    assert raised.correlation_id == "c-1"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "503 Service Unavailable"])
def test_the_log_has_what_hubspots_support_asks_for_and_not_its_words(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="hubspot_sync.wire.transport")
    body = b'{"status":"error","message":"ada@example.org is taken.","correlationId":"c-1"}'
    with (
        wire_server(answers(reply(body, status=status))) as server,
        client_of(server.base_url) as client,
    ):
        raised = failure(client, CREATE)

    (record,) = caplog.records
    assert (record.message, record.__dict__["correlation_id"]) == ("hubspot.call", "c-1")
    assert raised.safe_text == (
        f"HubSpot {'refused with' if status[0] == '4' else 'answered'} {status[:3]}."
        " Correlation id c-1."
    )


def test_nothing_but_an_id_is_taken_for_a_correlation_id() -> None:
    body = b'{"status":"error","correlationId":"ada@example.org"}'
    with (
        wire_server(answers(reply(body, status="400 Bad Request"))) as server,
        client_of(server.base_url) as client,
    ):
        raised = failure(client)

    assert raised.correlation_id is None
    assert raised.safe_text == "HubSpot refused with 400."


def test_the_wait_hubspot_asks_for_reaches_the_caller() -> None:
    body = b'{"policyName":"SECONDLY","errorType":"RATE_LIMIT"}'
    raw = reply(body, status="429 Too Many Requests", headers="Retry-After: 7\r\n")
    with wire_server(answers(raw)) as server, client_of(server.base_url) as client:
        raised = failure(client, seconds=3)

    assert isinstance(raised, RateLimited)
    assert raised.retry_after_s == 7.0
    assert len(server.requests) == 1


def test_a_429_of_the_whole_account_holds_the_others_back_too() -> None:
    body = b'{"policyName":"TEN_SECONDLY_ROLLING","errorType":"RATE_LIMIT"}'
    raw = reply(body, status="429 Too Many Requests", headers="Retry-After: 10\r\n")
    with wire_server(answers(raw)) as server, client_of(server.base_url) as client:
        failure(client, seconds=5)
        raised = failure(client, seconds=1)

    assert isinstance(raised, RateLimited)
    assert raised.status is None
    assert len(server.requests) == 1


def test_the_status_of_a_429_reaches_the_ledger_and_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="hubspot_sync.wire.transport")
    seen: list[CallRecord] = []
    meter = CallMeter()
    body = b'{"message":"alice@example.org","policyName":"DAILY"}'
    raw = reply(body, status="429 Too Many Requests")
    with wire_server(answers(raw)) as server, client_of(server.base_url) as client:
        client.call_log.observe(seen.append)
        with pytest.raises(RateLimited):
            client.transport.call(READ, asking(meters=[meter]))

    assert [(one.operation, one.status, one.attempt) for one in seen] == [
        ("objects.batch_read", 429, 1)
    ]
    assert meter.calls == 1
    assert [record.__dict__["status"] for record in caplog.records] == [429]
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert TOKEN not in logged
    assert "alice" not in logged


@pytest.mark.timeout(30)
def test_a_server_that_says_nothing_costs_no_more_than_the_deadline() -> None:
    """The deadline is ever 0.3 s away, so that it cannot pass before the call is sent."""

    def behave(_connection: socket.socket, _number: int) -> bool:
        return server.stopped.wait(600)

    impatient = CallContext(deadline=Deadline(at_s=0.3, clock=lambda: 0.0))
    with (
        wire_server(behave) as server,
        client_of(server.base_url, read_timeout_s=600) as client,
        pytest.raises(HubSpotError) as caught,
    ):
        client.transport.call(CREATE, impatient)
    raised = caught.value

    assert isinstance(raised, Unavailable)
    assert raised.may_have_taken_effect
    assert raised.status is None


def test_a_body_that_drips_costs_no_more_than_the_deadline() -> None:
    body = b'{"results":[' + b" " * 400 + b"]}"

    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(reply(body)[: -len(body)])
        for byte in body:
            connection.sendall(bytes([byte]))
            if server.stopped.wait(0.05):
                break
        return False

    with wire_server(behave) as server, client_of(server.base_url) as client:
        raised = failure(client, CREATE, seconds=1.0)

    assert isinstance(raised, Unavailable)


def test_a_body_that_ends_too_soon_is_no_answer() -> None:
    def behave(connection: socket.socket, number: int) -> bool:
        connection.sendall(EMPTY[:-1] if number == 1 else EMPTY)
        return number != 1

    with wire_server(behave) as server, client_of(server.base_url) as client:
        assert call(client).status == 200
        assert client.call_log.snapshot().retries == 1


def test_a_write_that_was_cut_off_may_have_taken_effect_whatever_came_of_the_next_attempt() -> None:
    body = b'{"policyName":"TEN_SECONDLY_ROLLING"}'
    over = reply(body, status="429 Too Many Requests", headers="Retry-After: 10\r\n")

    def behave(connection: socket.socket, number: int) -> bool:
        if number == 2:
            connection.sendall(over)
        return number == 2

    with wire_server(behave) as server, client_of(server.base_url) as client:
        raised = failure(client, UPDATE, seconds=9.0)

    assert isinstance(raised, RateLimited)
    assert raised.may_have_taken_effect


def test_nothing_is_sent_after_the_deadline() -> None:
    with wire_server(answers(EMPTY)) as server, client_of(server.base_url) as client:
        raised = failure(client, CREATE, seconds=0.0)

    assert isinstance(raised, Unavailable)
    assert not raised.may_have_taken_effect
    assert server.requests == []


def test_a_create_that_found_no_connection_was_certainly_not_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client_of(f"http://127.0.0.1:{port}") as client:
        raised = failure(client, CREATE)

        assert isinstance(raised, Unavailable)
        assert not raised.may_have_taken_effect
        assert client.call_log.snapshot().retries == 3


def test_the_token_goes_nowhere_else() -> None:
    with wire_server(answers(EMPTY)) as other:
        moved = reply(b"{}", status="302 Found", headers=f"Location: {other.base_url}/x\r\n")
        with wire_server(answers(moved)) as server, client_of(server.base_url) as client:
            failure(client)

    assert other.requests == []


def test_a_daily_limit_lasts_until_the_portals_midnight() -> None:
    """HubSpot does not always send `Retry-After`; 9.30 in the evening in London."""
    day = PortalDay(
        zone=ZoneInfo("Europe/London"), now=lambda: datetime(2026, 11, 25, 21, 30, tzinfo=UTC)
    )
    raw = reply(b'{"policyName":"DAILY"}', status="429 Too Many Requests")
    with wire_server(answers(raw)) as server:
        client = build_client(HubSpotConfig(base_url=server.base_url, token=TOKEN), day=day)
        with closing(client):
            raised = failure(client)

    assert isinstance(raised, RateLimited)
    assert raised.retry_after_s == 2.5 * 3_600


def test_hubspots_own_word_on_a_daily_limit_counts_more() -> None:
    raw = reply(b'{"policyName":"DAILY"}', status="429 Too Many", headers="Retry-After: 7200\r\n")
    with wire_server(answers(raw)) as server, client_of(server.base_url) as client:
        raised = failure(client)

    assert raised.retry_after_s == 7_200


def test_text_that_utf_8_cannot_hold_is_sent_without_it() -> None:
    odd = Request(
        operation=Operation.BATCH_UPDATE,
        object_type="0-1",
        body={"inputs": [{"id": "1", "properties": {"lastname": "Cut\ud83d"}}]},
    )
    with wire_server(answers(EMPTY)) as server, client_of(server.base_url) as client:
        call(client, odd)

    assert "Cut\ufffd".encode() in server.requests[0]
