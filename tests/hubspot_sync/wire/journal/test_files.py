"""A file is fetched from where it may be, whole or not at all, and its address is shown nowhere."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_socket import SocketConnectBlockedError

from hubspot_sync.errors import FileUnreadable, HubSpotError, RateLimited, Unavailable
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile, SignedAddress
from hubspot_sync.wire.journal.files import FileFetcher
from hubspot_sync.wire.journal.journal_calls import JournalCall
from tests.hubspot_sync.journals import journal_config, journal_of, soon
from tests.hubspot_sync.wire_server import answers, reply, wire_server
from tests.sandbox import SandboxHandle

SECRET_QUERY = "X-Amz-Signature=abcdef0123456789"
EMPTY_FILE = b'{"offset":"o","publishedAt":"2026-11-26T10:00:00Z","journalEvents":[]}'


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> Iterator[ChangeJournal]:
    with journal_of(kind_sandbox.base_url) as reached:
        yield reached


def first_entry(journal: ChangeJournal) -> JournalEntry:
    entry = journal.read_earliest(soon())
    assert entry is not None
    return entry


def entry_at(address: str) -> JournalEntry:
    return JournalEntry(offset="o", address=SignedAddress(address), expires_at=None)


def fetch(address: str, *addresses: str, **changes: object) -> JournalFile:
    """Fetch from an address whose name has these addresses of the network."""
    config = journal_config("http://127.0.0.1:1", **changes)
    fetcher = FileFetcher(config, lambda _call: None, resolve=lambda _host, _port: [*addresses])
    return fetcher.fetch(entry_at(address), soon())


# What is in it


def test_a_file_has_its_events_as_they_came(
    kind_sandbox: SandboxHandle, journal: ChangeJournal
) -> None:
    offset = kind_sandbox.publish({"objectId": 7}, {"objectId": "7", "type": "unheard_of"})

    file = journal.fetch_file(first_entry(journal), soon())

    assert file.offset == offset
    assert file.published_at is not None
    assert file.events == ({"objectId": 7}, {"objectId": "7", "type": "unheard_of"})


def test_an_event_that_is_none_costs_itself_alone(
    kind_sandbox: SandboxHandle, journal: ChangeJournal
) -> None:
    kind_sandbox.publish({"n": 1}, None, [], "text", 5, {"n": 2})

    file = journal.fetch_file(first_entry(journal), soon())

    assert (file.events, file.unreadable) == (({"n": 1}, {"n": 2}), 4)


def test_half_an_emoji_and_nul_can_be_stored(
    kind_sandbox: SandboxHandle, journal: ChangeJournal
) -> None:
    kind_sandbox.publish({"propertyChanges": {"name": "a\ud83d\u0000b"}}, {"n": 1})

    file = journal.fetch_file(first_entry(journal), soon())

    assert file.events == ({"propertyChanges": {"name": "a\ufffd\ufffdb"}}, {"n": 1})


def test_a_compressed_file_is_read(kind_sandbox: SandboxHandle, journal: ChangeJournal) -> None:
    kind_sandbox.configure(journal={"gzip": True})
    kind_sandbox.publish({"n": 1})

    assert journal.fetch_file(first_entry(journal), soon()).events == ({"n": 1},)


NO_FILES = {
    "not_json": [b"", b"{", b"<html></html>", EMPTY_FILE[:-3], b"\xff\xfe", b"[" * 100_000],
    "shape": [b"null", b"[]", b"{}", b'"x"', b'{"journalEvents":{}}', b'{"journalEvents":null}'],
}


@pytest.mark.parametrize(
    ("reason", "body"), [(reason, body) for reason, bodies in NO_FILES.items() for body in bodies]
)
def test_what_is_no_file_is_unreadable(reason: str, body: bytes) -> None:
    with wire_server(answers(reply(body))) as server, pytest.raises(FileUnreadable) as raised:
        fetch(f"{server.base_url}/f?{SECRET_QUERY}", "127.0.0.1")

    assert raised.value.reason == reason


BROKEN_EVENTS = [
    b'{"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"n":NaN}',
    b'{"n":Infinity}',
    b'{"n":}',
    b"{n:1}",
    b'{"a, ]}\\"":tru}',
]


@pytest.mark.parametrize("broken", BROKEN_EVENTS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_event_that_is_no_json_costs_itself_alone(broken: bytes, place: int) -> None:
    events = [b'{"n":1,"s":"],}{"}', b'{"n":2}']
    events.insert(place, broken)
    head = b'{"offset":"o","publishedAt":"2026-11-26T10:00:00Z","journalEvents": ['
    with wire_server(answers(reply(head + b", ".join(events) + b"]}"))) as server:
        file = fetch(f"{server.base_url}/f", "127.0.0.1")

    assert (file.events, file.unreadable) == (({"n": 1, "s": "],}{"}, {"n": 2}), 1)
    assert file.published_at is not None


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_file_that_ends_early_is_none_whatever_came_before(left: int) -> None:
    """The events that are not there must not be passed over."""
    body = b'{"journalEvents":[{"n":1},{"n":NaN},{"n":3},{"n":4}],"offset":"o"}'
    with wire_server(answers(reply(body[:-left]))) as server, pytest.raises(FileUnreadable):
        fetch(f"{server.base_url}/f", "127.0.0.1")


@pytest.mark.parametrize("published", [None, 5e300, "yesterday", True, {}])
def test_a_time_that_means_nothing_costs_nothing_else(published: object) -> None:
    body = json.dumps({"publishedAt": published, "journalEvents": [{}]}).encode()
    with wire_server(answers(reply(body))) as server:
        file = fetch(f"{server.base_url}/f", "127.0.0.1")

    assert (file.published_at, file.events) == (None, ({},))


# How large, how long


def test_a_file_larger_than_its_bound_is_not_read() -> None:
    body = reply(b'{"journalEvents":["' + b"a" * 3_000_000 + b'"]}')
    with wire_server(answers(body)) as server, pytest.raises(FileUnreadable) as raised:
        fetch(f"{server.base_url}/f", "127.0.0.1", max_file_bytes=2_000_000)

    assert raised.value.reason == "too_large"


def test_a_file_that_grows_when_it_is_decompressed_is_not_read() -> None:
    packed = gzip.compress(b" " * 50_000_000)
    assert len(packed) < 100_000
    body = reply(packed, headers="Content-Encoding: gzip\r\n")
    with wire_server(answers(body)) as server, pytest.raises(FileUnreadable) as raised:
        fetch(f"{server.base_url}/f", "127.0.0.1", max_file_bytes=2_000_000)

    assert raised.value.reason == "too_large"


@pytest.mark.parametrize(
    ("encoding", "error"),
    [("br", FileUnreadable), ("zstd", FileUnreadable), ("gzip", Unavailable)],
)
def test_an_encoding_that_is_none_of_ours_or_not_that_is_refused(
    encoding: str, error: type[HubSpotError]
) -> None:
    body = reply(EMPTY_FILE, headers=f"Content-Encoding: {encoding}\r\n")
    with wire_server(answers(body)) as server, pytest.raises(error):
        fetch(f"{server.base_url}/f", "127.0.0.1")


def test_a_file_cut_off_may_come_whole_later() -> None:
    whole = reply(EMPTY_FILE)

    def behave(connection: socket.socket, number: int) -> bool:
        connection.sendall(whole[:-5] if number == 1 else whole)
        return number > 1

    with wire_server(behave) as server:
        with pytest.raises(Unavailable):
            fetch(f"{server.base_url}/f", "127.0.0.1")
        assert fetch(f"{server.base_url}/f", "127.0.0.1").events == ()


def test_a_file_that_drips_is_waited_for_until_the_deadline() -> None:
    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopped.wait(0.02):
            connection.sendall(b" ")
        return False

    fetcher = FileFetcher(
        journal_config("http://x"), lambda _: None, resolve=lambda *_: ["127.0.0.1"]
    )
    with wire_server(behave) as server, pytest.raises(Unavailable):
        fetcher.fetch(entry_at(f"{server.base_url}/f"), Deadline.after(0.3))


# Where from


@pytest.mark.parametrize(
    "address",
    [
        "http://files.example.org/f",
        "ftp://files.example.org/f",
        "file:///etc/passwd",
        "//files.example.org/f",
        "https://",
        "https:///f",
        "https://user@files.example.org/f",
        "https://user:word@files.example.org/f",
        "https://files.example.org:port/f",
        "https://files.example.org:99999/f",
        "https://[::1/f",
        "https://[fe80::1%25eth0]/f",
        "https://files.example.org/f\r\nHost: other",
        "https://files.example.org/a b",
        "https://fïles.example.org/f",
        "javascript:alert(1)",
        "",
    ],
)
def test_an_address_of_another_kind_is_not_even_resolved(address: str) -> None:
    config = journal_config("https://api.example.org", allow_private_files=False)
    resolved: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        resolved.append(host)
        return ["1.1.1.1"]

    with pytest.raises(FileUnreadable) as raised:
        FileFetcher(config, lambda _: None, resolve=resolve).fetch(entry_at(address), soon())

    assert (raised.value.reason, resolved) == ("forbidden", [])


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["169.254.169.254"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::a9fe:a9fe"],
        ["1.1.1.1", "10.0.0.1"],
        ["10.0.0.1", "1.1.1.1"],
        [],
    ],
)
def test_a_name_with_a_private_address_is_not_connected_to(found: list[str]) -> None:
    with pytest.raises(FileUnreadable) as raised:
        fetch("https://files.example.org/f", *found, allow_private_files=False)

    assert raised.value.reason == "forbidden"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost", "0"])
def test_a_private_address_in_numbers_is_found_by_the_machines_own_resolver(host: str) -> None:
    config = journal_config("https://api.example.org", allow_private_files=False)

    with pytest.raises((FileUnreadable, Unavailable)):
        FileFetcher(config, lambda _: None).fetch(entry_at(f"https://{host}/f"), soon())


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A name that answers with a private address the second time gains nothing."""
    config = journal_config("https://api.example.org", allow_private_files=False)
    given = iter([["1.1.1.1"], ["127.0.0.1"], ["127.0.0.1"]])
    fetcher = FileFetcher(config, lambda _: None, resolve=lambda *_: next(given))

    with pytest.raises(SocketConnectBlockedError, match=r"1\.1\.1\.1"):
        fetcher.fetch(entry_at("https://files.example.org/f"), soon())

    assert next(given) == ["127.0.0.1"]


def test_the_host_is_the_names_and_each_of_its_addresses_is_tried() -> None:
    with wire_server(answers(reply(EMPTY_FILE))) as server:
        port = server.base_url.rpartition(":")[2]
        fetch(f"http://files.example.org:{port}/f?{SECRET_QUERY}", "::1", "127.0.0.1")

        (request,) = server.requests
    assert f"Host: files.example.org:{port}\r\n".encode() in request
    assert request.startswith(f"GET /f?{SECRET_QUERY} HTTP/1.1\r\n".encode())
    assert b"authorization" not in request.lower()
    assert b"cookie" not in request.lower()


def test_a_name_without_an_address_may_have_one_later() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    fetcher = FileFetcher(journal_config("https://x"), lambda _: None, resolve=resolve)
    with pytest.raises(Unavailable):
        fetcher.fetch(entry_at("https://files.example.org/f"), soon())


def test_no_redirect_is_followed() -> None:
    with wire_server(answers(reply(EMPTY_FILE))) as other:
        moved = reply(b"", status="302 Found", headers=f"Location: {other.base_url}/f\r\n")
        with wire_server(answers(moved)) as server, pytest.raises(FileUnreadable) as raised:
            fetch(f"{server.base_url}/f", "127.0.0.1")

        assert (raised.value.reason, raised.value.status) == ("status", 302)
        assert other.requests == []


def test_our_token_does_not_go_along(kind_sandbox: SandboxHandle, journal: ChangeJournal) -> None:
    kind_sandbox.publish({})

    journal.fetch_file(first_entry(journal), soon())

    (call,) = kind_sandbox.journal()["file_calls"]
    assert (call["status"], call["authorized"]) == (200, False)


# When it has expired, or cannot come now


@pytest.mark.parametrize("status", [403, 404, 400])
def test_an_address_that_has_expired_is_asked_for_again(
    kind_sandbox: SandboxHandle, journal: ChangeJournal, status: int
) -> None:
    kind_sandbox.configure(journal={"address_s": 60, "expired_status": status})
    kind_sandbox.publish({"n": 1})
    entry = first_entry(journal)
    kind_sandbox.advance(61)

    assert journal.fetch_file(entry, soon()).events == ({"n": 1},)


def test_an_address_that_is_always_expired_is_asked_for_once_more(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.publish({})
    kind_sandbox.fault(action="status", status=403, path="/journal-files/")
    told: list[JournalCall] = []

    with journal_of(kind_sandbox.base_url, told=told) as journal:
        entry = first_entry(journal)
        with pytest.raises(FileUnreadable) as raised:
            journal.fetch_file(entry, soon())

    assert raised.value.reason == "expired"
    names = [(call.operation.value, call.status) for call in told[2:]]
    assert names == [("journal.file", 403), ("journal.batch_read", 200), ("journal.file", 403)]


@pytest.mark.parametrize(
    "order",
    [
        {"status": 404, "body": {"category": "OBJECT_NOT_FOUND"}},
        {"status": 400, "body": {"category": "VALIDATION_ERROR"}},
        None,
    ],
)
def test_an_expired_file_without_another_address_says_nothing_of_any_offset(
    kind_sandbox: SandboxHandle, journal: ChangeJournal, order: dict[str, object] | None
) -> None:
    kind_sandbox.publish({})
    entry = replace(first_entry(journal), offset="another")
    kind_sandbox.fault(action="status", status=403, path="/journal-files/")
    if order is not None:
        kind_sandbox.fault(action="status", path="/batch/read$", **order)

    with pytest.raises(FileUnreadable) as raised:
        journal.fetch_file(entry, soon())
    assert raised.value.reason == "expired"


@pytest.mark.parametrize(
    ("order", "error", "wait_s"),
    [
        ({"status": 503, "headers": {"Retry-After": "7"}}, Unavailable, 7.0),
        ({"status": 429, "headers": {"Retry-After": "3"}}, RateLimited, 3.0),
        ({"status": 500}, Unavailable, None),
    ],
)
def test_a_server_that_cannot_now_is_asked_later(
    kind_sandbox: SandboxHandle,
    journal: ChangeJournal,
    order: dict[str, object],
    error: type[HubSpotError],
    wait_s: float | None,
) -> None:
    kind_sandbox.publish({})
    kind_sandbox.fault(action="status", path="/journal-files/", **order)

    with pytest.raises(error) as raised:
        journal.fetch_file(first_entry(journal), soon())

    assert not isinstance(raised.value, FileUnreadable)
    assert raised.value.retry_after_s == wait_s


# What is shown


def test_a_files_address_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "hubspot_sync", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    shown: list[str] = []
    behind: list[BaseException | None] = []
    told: list[JournalCall] = []
    bodies = [reply(EMPTY_FILE), reply(b"{"), reply(b"x", status="403 Forbidden"), b"nonsense"]
    config = journal_config("http://x")

    for body in bodies:
        with wire_server(answers(body)) as server:
            address = f"{server.base_url}/private-path?{SECRET_QUERY}"
            for target in (address, address.replace("http:", "https:"), f"{address}\r\n"):
                entry = entry_at(target)
                shown.append(repr(entry))
                try:
                    FileFetcher(config, told.append).fetch(entry, soon())
                except HubSpotError as error:
                    shown += [*traceback.format_exception(error), error.safe_text]
                    behind.append(error.__context__)

    everything = caplog.text + "".join(shown) + repr(told)
    assert (len(told), set(behind)) == (8, {None})
    assert "abcdef0123456789" not in everything
    assert "private-path" not in everything
