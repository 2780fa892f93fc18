"""Entries read by offset: what is there, what is the end, what is gone, and what is no answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from hubspot_sync.errors import HubSpotError, OffsetGone, RateLimited, Refused, Unavailable
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.journal_calls import POOL_SIZE, JournalCall
from tests.hubspot_sync.clients import asking, client_of
from tests.hubspot_sync.journals import journal_of, soon
from tests.hubspot_sync.wire_server import Behaviour, reply, wire_server
from tests.sandbox import SandboxHandle

TOKEN_ANSWER = b'{"access_token":"abc","expires_in":1800,"token_type":"bearer"}'
DAY_S = 86_400


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> Iterator[ChangeJournal]:
    with journal_of(kind_sandbox.base_url) as reached:
        yield reached


@pytest.mark.parametrize("version", ["2026-03", "2026-09", "legacy"])
def test_entries_are_read_in_order_to_the_end(kind_sandbox: SandboxHandle, version: str) -> None:
    offsets = [kind_sandbox.publish({"n": number}) for number in range(3)]

    with journal_of(kind_sandbox.base_url, api_version=version) as journal:
        first, last = journal.read_earliest(soon()), journal.read_latest(soon())
        assert first is not None
        second = journal.read_next(first.offset, soon())
        batch = journal.read_batch_next(first.offset, 100, soon())
        end = journal.read_next(offsets[-1], soon())

    assert last is not None
    assert second is not None
    assert [first.offset, second.offset, last.offset] == offsets
    assert [entry.offset for entry in batch] == offsets[1:]
    assert end is None
    assert first.expires_at is not None


def test_an_empty_journal_has_no_entry(journal: ChangeJournal) -> None:
    assert journal.read_earliest(soon()) is None
    assert journal.read_latest(soon()) is None


def test_a_batch_is_bounded_and_empty_at_the_end(
    kind_sandbox: SandboxHandle, journal: ChangeJournal
) -> None:
    offsets = [kind_sandbox.publish({"n": number}) for number in range(4)]

    assert [each.offset for each in journal.read_batch_next(offsets[0], 2, soon())] == offsets[1:3]
    assert [each.offset for each in journal.read_batch_next(offsets[0], 5_000, soon())] == (
        offsets[1:]
    )
    assert [each.offset for each in journal.read_batch_next(offsets[0], 0, soon())] == offsets[1:2]
    assert journal.read_batch_next(offsets[-1], 10, soon()) == ()


@pytest.mark.parametrize("offset", ["6f1d2c1e-8f2b-4a57-9b9c-6a1d5f1e7c11", "%2e%2e", "ü", "x y"])
def test_an_offset_that_is_not_known_is_gone_whatever_it_looks_like(
    kind_sandbox: SandboxHandle, journal: ChangeJournal, offset: str
) -> None:
    kind_sandbox.publish({})

    with pytest.raises(OffsetGone):
        journal.read_next(offset, soon())
    with pytest.raises(OffsetGone):
        journal.read_batch_next(offset, 10, soon())


def test_an_offset_stays_one_part_of_the_path() -> None:
    end = b"HTTP/1.1 204 No Content\r\n\r\n"
    with wire_server(_after_the_token(end)) as server, journal_of(server.base_url) as journal:
        journal.read_next("a/../b?c=d#e", soon())

        assert b"/offset/a%2F..%2Fb%3Fc%3Dd%23e/next?" in server.requests[-1]


def test_an_offset_is_gone_after_three_days(kind_sandbox: SandboxHandle) -> None:
    offset = kind_sandbox.publish({"n": 1})
    kind_sandbox.advance(DAY_S)
    kind_sandbox.publish({"n": 2})
    kind_sandbox.advance(2 * DAY_S)

    with journal_of(kind_sandbox.base_url) as journal, pytest.raises(OffsetGone):
        journal.read_next(offset, soon())


def test_a_404_that_is_no_answer_of_hubspots_says_nothing_of_the_offset() -> None:
    """A proxy's page would otherwise cost the whole cache."""
    page = reply(b"<html>Not found</html>", status="404 Not Found")

    with wire_server(_after_the_token(page)) as server, journal_of(server.base_url) as lost:
        with pytest.raises(Unavailable):
            lost.read_next("x", soon())
        with pytest.raises(Unavailable):
            lost.read_batch_next("x", 10, soon())


def _after_the_token(*raws: bytes) -> Behaviour:
    """Give a token, then these answers, the last one for ever."""

    def behave(connection: socket.socket, number: int) -> bool:
        answer = raws[min(number - 2, len(raws) - 1)] if number > 1 else reply(TOKEN_ANSWER)
        connection.sendall(answer)
        return True

    return behave


ENTRY = {
    "currentOffset": "o",
    "url": "https://files.example.org/x",
    "expiresAt": "2026-01-01T00:00Z",
}
NO_ENTRIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"<html></html>",
    b'{"currentOffset":"o","url":"https://f',
    json.dumps({**ENTRY, "currentOffset": 7}).encode(),
    json.dumps({**ENTRY, "currentOffset": ""}).encode(),
    json.dumps({**ENTRY, "currentOffset": None}).encode(),
    json.dumps({**ENTRY, "currentOffset": "x" * 201}).encode(),
    json.dumps({**ENTRY, "currentOffset": ".."}).encode(),
    json.dumps({**ENTRY, "currentOffset": "\ud83d"}).encode(),
    json.dumps({**ENTRY, "url": None}).encode(),
    json.dumps({**ENTRY, "url": 5}).encode(),
    json.dumps({**ENTRY, "url": "x" * 20_000}).encode(),
    json.dumps({"results": [ENTRY]}).encode(),
]


@pytest.mark.parametrize("body", NO_ENTRIES)
def test_a_200_without_an_entry_is_no_answer_and_never_the_end(body: bytes) -> None:
    with wire_server(_after_the_token(reply(body))) as server, journal_of(server.base_url) as odd:
        with pytest.raises(Unavailable):
            odd.read_next("before", soon())
        with pytest.raises(Unavailable):
            odd.read_earliest(soon())


@pytest.mark.parametrize("expires", [None, "soon", 1e30, True, {}, "2026-01-01"])
def test_an_expiry_that_means_nothing_costs_nothing_else(expires: object) -> None:
    raw = reply(json.dumps({**ENTRY, "expiresAt": expires, "more": 1}).encode())
    with wire_server(_after_the_token(raw)) as server, journal_of(server.base_url) as odd:
        entry = odd.read_next("before", soon())

    assert entry is not None
    assert (entry.offset, entry.expires_at) == ("o", None)


def test_the_entry_that_was_asked_to_be_passed_is_no_answer() -> None:
    raw = reply(json.dumps(ENTRY).encode())
    with (
        wire_server(_after_the_token(raw)) as server,
        journal_of(server.base_url) as odd,
        pytest.raises(Unavailable),
    ):
        odd.read_next("o", soon())


PARTS = [
    {"results": [ENTRY], "errors": [{"status": "error"}]},
    {"results": [ENTRY, {"currentOffset": 5}]},
    {"results": [ENTRY, ENTRY]},
    {"results": []},
    {"results": None},
    {"status": "COMPLETE"},
    {"results": [{**ENTRY, "currentOffset": "before"}]},
]


@pytest.mark.parametrize("body", PARTS)
def test_a_batch_that_may_have_gaps_is_asked_again_as_a_single_entry(
    body: dict[str, object],
) -> None:
    """Whoever went on from its last entry would never see what it left out."""
    single = reply(json.dumps({**ENTRY, "currentOffset": "next"}).encode())
    raws = reply(json.dumps(body).encode()), single
    with wire_server(_after_the_token(*raws)) as server, journal_of(server.base_url) as odd:
        entries = odd.read_batch_next("before", 10, soon())

        assert b"/offset/before/next" in server.requests[-1]
    assert [entry.offset for entry in entries] == ["next"]


def test_a_batch_that_is_207_is_asked_again_too() -> None:
    part = reply(json.dumps({"results": [ENTRY]}).encode(), status="207 Multi-Status")
    end = b"HTTP/1.1 204 No Content\r\n\r\n"
    with wire_server(_after_the_token(part, end)) as server, journal_of(server.base_url) as odd:
        assert odd.read_batch_next("before", 10, soon()) == ()


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"status": 500}, Unavailable),
        ({"status": 502}, Unavailable),
        ({"status": 521}, Unavailable),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, Unavailable),
        ({"status": 418}, Unavailable),
        ({"status": 429}, RateLimited),
        ({"status": 400, "body": {"category": "VALIDATION_ERROR"}}, Refused),
    ],
)
def test_what_is_wrong_is_told_and_nothing_tried_again(
    kind_sandbox: SandboxHandle,
    order: dict[str, object],
    error: type[HubSpotError],
) -> None:
    kind_sandbox.publish({})
    kind_sandbox.fault(action="status", path="/earliest$", **order)
    told: list[JournalCall] = []

    with journal_of(kind_sandbox.base_url, told=told) as journal, pytest.raises(error) as raised:
        journal.read_earliest(soon())

    assert raised.value.status == order["status"]
    statuses = [(call.operation.value, call.status) for call in told]
    assert statuses == [("journal.token", 200), ("journal.earliest", order["status"])]


def test_a_429_says_how_long_to_wait(kind_sandbox: SandboxHandle, journal: ChangeJournal) -> None:
    kind_sandbox.configure(journal={"rate": 1})
    journal.read_earliest(soon())

    with pytest.raises(RateLimited) as raised:
        journal.read_earliest(soon())

    assert raised.value.retry_after_s == 1.0


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_a_cut_connection_is_no_answer(
    kind_sandbox: SandboxHandle, journal: ChangeJournal, action: str
) -> None:
    kind_sandbox.publish({})
    kind_sandbox.fault(action=action, path="/earliest$", times=1)

    with pytest.raises(Unavailable):
        journal.read_earliest(soon())
    assert journal.read_earliest(soon()) is not None


def test_a_silent_journal_is_waited_for_until_the_deadline(kind_sandbox: SandboxHandle) -> None:
    fault = kind_sandbox.fault(action="delay", delay_ms=60_000, path="/earliest$")

    with journal_of(kind_sandbox.base_url) as journal, pytest.raises(Unavailable):
        journal.read_earliest(Deadline.after(0.3))
    kind_sandbox.clear_faults(fault)


def test_who_finds_all_connections_taken_waits_until_the_deadline() -> None:
    asked = threading.Semaphore(0)

    def behave(connection: socket.socket, number: int) -> bool:
        if number == 1:
            connection.sendall(reply(TOKEN_ANSWER))
            return True
        asked.release()
        server.stopped.wait()
        return False

    with wire_server(behave) as server, journal_of(server.base_url) as journal:

        def ask() -> None:
            with pytest.raises(Unavailable):
                journal.read_latest(soon())

        others = [threading.Thread(target=ask) for _ in range(POOL_SIZE)]
        for each in others:
            each.start()
        for _ in others:
            assert asked.acquire(timeout=30)
        with pytest.raises(Unavailable):
            journal.read_latest(soon(0.2))
        still_waiting = [each.is_alive() for each in others]
        server.stop()
        for each in others:
            each.join()

    assert all(still_waiting)


def test_an_answer_of_endless_size_is_cut_short() -> None:
    huge = reply(b'{"x":"' + b"a" * 5_000_000 + b'"}')
    with (
        wire_server(_after_the_token(huge)) as server,
        journal_of(server.base_url) as odd,
        pytest.raises(Unavailable),
    ):
        odd.read_earliest(soon())


def test_an_outage_of_the_journal_opens_its_own_breaker_alone(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.fault(action="status", status=503, path="/webhooks-journal/")
    told: list[JournalCall] = []

    with (
        journal_of(kind_sandbox.base_url, told=told, breaker_failures=3) as journal,
        client_of(kind_sandbox.base_url, breaker_failures=1) as client,
    ):
        for _ in range(6):
            with pytest.raises(Unavailable):
                journal.read_earliest(soon())
        read = client.batch.read("0-1", ["1"], properties=[], context=asking())

    assert [call.status for call in told] == [200, 503, 503, 503]
    assert read.missing == {"1"}


def test_the_journal_takes_nothing_of_the_190(kind_sandbox: SandboxHandle) -> None:
    contact = kind_sandbox.create("0-1", {"email": "s@example.org"})
    kind_sandbox.configure(rate_limit=1)
    kind_sandbox.publish({})

    with (
        journal_of(kind_sandbox.base_url) as journal,
        client_of(kind_sandbox.base_url, max_attempts=1) as client,
    ):
        for _ in range(20):
            assert journal.read_earliest(soon()) is not None
        read = client.batch.read("0-1", [contact], properties=[], context=asking())

    assert list(read.found) == [contact]
