"""A file is fetched from where it may be and nowhere else, and its address is shown nowhere."""

from __future__ import annotations

import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

from hubspot_sync.errors import FileUnreadable, HubSpotError, RateLimited, Unavailable
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.files import FileFetcher
from hubspot_sync.wire.journal.journal_calls import JournalCall
from tests.hubspot_sync.journals import (
    EMPTY_FILE,
    SECRET_QUERY,
    entry_at,
    fetch,
    first_entry,
    journal_config,
    journal_of,
    soon,
)
from tests.hubspot_sync.wire_server import answers, reply, wire_server
from tests.sandbox import SandboxHandle

LONGEST_S = 10.0
"""So long a name server is silent."""


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> Iterator[ChangeJournal]:
    with journal_of(kind_sandbox.base_url) as reached:
        yield reached


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


def test_nothing_of_the_machines_goes_along_or_leads_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a proxy nor a password file, for the files and for the journal itself."""
    passwords = tmp_path / "netrc"
    passwords.write_text("machine 127.0.0.1 login u password p\ndefault login u password p\n")
    monkeypatch.setenv("NETRC", str(passwords))
    token = reply(b'{"access_token":"abc","expires_in":1800}')

    def behave(connection: socket.socket, number: int) -> bool:
        connection.sendall(token if number == 1 else reply(EMPTY_FILE))
        return True

    with wire_server(answers(reply(EMPTY_FILE))) as proxy, wire_server(behave) as server:
        for kind in ("http", "https", "all"):
            monkeypatch.setenv(f"{kind}_proxy", proxy.base_url)
            monkeypatch.setenv(f"{kind}_proxy".upper(), proxy.base_url)
        with journal_of(server.base_url) as journal, pytest.raises(Unavailable):
            journal.read_latest(soon())
        fetch(server.base_url.replace("127.0.0.1", "files.example.org"), "127.0.0.1")

        asked = [request.lower() for request in server.requests]
        assert proxy.requests == []
    assert [b"authorization: bearer abc\r\n" in each for each in asked] == [False, True, False]
    assert [each.count(b"authorization:") for each in asked] == [0, 1, 0]


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
    # Whoever is asked for TLS here waits for more, and so do we.
    config = journal_config("http://x", connect_timeout_s=0.3, read_timeout_s=0.3)

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


def test_a_name_server_that_is_silent_holds_nobody_up_for_longer_than_a_connection_may() -> None:
    over, answered = threading.Event(), list[str]()
    config = journal_config("https://x", connect_timeout_s=0.2)

    def resolve(host: str, _port: int) -> list[str]:
        over.wait(LONGEST_S)
        answered.append(host)
        return []

    fetcher = FileFetcher(config, lambda _: None, resolve=resolve)
    with pytest.raises(Unavailable):
        fetcher.fetch(entry_at("https://files.example.org/f"), soon())

    assert answered == []
    over.set()
