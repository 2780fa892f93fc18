"""A file is read whole or not at all: what is in it, how large it may be, how long it may take."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator

import pytest

from hubspot_sync.errors import FileUnreadable, HubSpotError, Unavailable
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.files import FileFetcher
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


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> Iterator[ChangeJournal]:
    with journal_of(kind_sandbox.base_url) as reached:
        yield reached


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


@pytest.mark.parametrize("ending", [b"", b"\\"])
def test_a_file_cut_in_a_long_text_is_found_out_in_one_pass(ending: bytes) -> None:
    """In JSON within a text there are very many quotes; all pairs of them would take hours, in
    which no other thread runs."""
    body = b'{"journalEvents":[{"propertyChanges":{"name":"' + b'{\\"' * 700_000 + ending
    with wire_server(answers(reply(body))) as server, pytest.raises(FileUnreadable) as raised:
        fetch(f"{server.base_url}/f", "127.0.0.1")

    assert raised.value.reason == "not_json"


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


def fetcher_of(**changes: float) -> FileFetcher:
    config = journal_config("http://x", **changes)
    return FileFetcher(config, lambda _: None, resolve=lambda *_: ["127.0.0.1"])


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
    "other heads before it": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk's length": (CHUNKED, b"0"),
    "trailers": (CHUNKED + b"0\r\n", b"X-More: 1\r\n"),
}


@pytest.mark.parametrize("part", DRIPS)
def test_a_file_that_drips_is_waited_for_until_the_deadline(part: str) -> None:
    begins, drop = DRIPS[part]

    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(begins)
        while not server.stopped.wait(0.02):
            connection.sendall(drop)
        return False

    with wire_server(behave) as server, pytest.raises(Unavailable):
        fetcher_of().fetch(entry_at(f"{server.base_url}/f"), Deadline.after(0.3))


def test_an_answer_may_take_longer_than_a_connection() -> None:
    def behave(connection: socket.socket, _number: int) -> bool:
        server.stopped.wait(0.3)
        connection.sendall(reply(EMPTY_FILE))
        return False

    with wire_server(behave) as server:
        fetcher = fetcher_of(connect_timeout_s=0.1, read_timeout_s=20.0)
        assert fetcher.fetch(entry_at(f"{server.base_url}/f"), soon()).events == ()
