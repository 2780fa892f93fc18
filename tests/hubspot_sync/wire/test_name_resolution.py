"""A name server that is silent: a call ends when it is to end, and nothing is sent afterwards."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from hubspot_sync.client import HubSpotClient
from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request
from tests.hubspot_sync.clients import client_of
from tests.hubspot_sync.wire_server import answers, reply, wire_server

# Of what changes nothing it makes no difference whether it was sent.
WRITE = Request(
    operation=Operation.BATCH_UPDATE,
    object_type="0-1",
    body={"inputs": [{"id": "1", "properties": {"city": "Calgary"}}]},
)
NAME = "hubspot.example"
LONGEST_S = 10.0
"""So long the name server is silent, where nobody has it answer."""

Answer = Callable[[], str]
"""Returns addresses, with blanks between."""


@contextmanager
def name_server(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> Iterator[list[str]]:
    """Inside the block all names but addresses are looked up by `answer`; yields them."""
    look_up, asked = socket.getaddrinfo, list[str]()

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != NAME:
            return look_up(host, *arguments, **options)
        asked.append(host)
        return [info for each in answer().split() for info in look_up(each, *arguments, **options)]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        yield asked


def ask(client: HubSpotClient, seconds: float) -> int:
    context = CallContext(deadline=Deadline.after(seconds))
    return client.transport.call(WRITE, context).status


def test_a_call_ends_at_its_deadline_while_the_name_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, seen = threading.Event(), list[int]()

    def silent() -> str:
        over.wait(LONGEST_S)
        return "127.0.0.1"

    def behave(connection: socket.socket, number: int) -> bool:
        seen.append(number)
        connection.sendall(reply(b'{"results":[]}'))
        return True

    with wire_server(behave) as server, name_server(monkeypatch, silent) as asked:
        url = server.base_url.replace("127.0.0.1", NAME)
        with client_of(url, max_attempts=1) as client:
            with pytest.raises(Unavailable) as failed:
                ask(client, 0.2)
            with pytest.raises(Unavailable):
                ask(client, 0.2)
            assert not over.is_set()
            over.set()

            assert ask(client, LONGEST_S) == 200
    assert failed.value.may_have_taken_effect is False
    assert len(seen) == 1, "what was given up was sent after all"
    assert len(asked) <= 2, "one look-up serves all who wait for it"


def test_of_several_addresses_the_one_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(reply(b'{"results":[]}'))
        return True

    with wire_server(behave) as server, name_server(monkeypatch, lambda: "::1 127.0.0.1"):
        url = server.base_url.replace("127.0.0.1", NAME)
        with client_of(url, max_attempts=1) as client:
            assert ask(client, LONGEST_S) == 200


def fill_up(stack: ExitStack, address: str, port: int) -> None:
    """Have this address answer no more connections, as one behind a broken route does."""
    listener = stack.enter_context(socket.socket())
    listener.bind((address, port))
    listener.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex((address, port))


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_an_address_that_is_silent_leaves_the_others_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = name_server(monkeypatch, lambda: "127.0.0.2 127.0.0.1")
    with wire_server(answers(reply(b'{"results":[]}'))) as server, names, ExitStack() as stack:
        fill_up(stack, "127.0.0.2", int(server.base_url.rpartition(":")[2]))
        url = server.base_url.replace("127.0.0.1", NAME)
        with client_of(url, max_attempts=1, connect_timeout_s=1.0) as client:
            assert ask(client, LONGEST_S) == 200


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), UnicodeError("label empty or too long")],
    ids=["no file", "no name"],
)
def test_a_look_up_that_the_machine_refuses_was_never_sent(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        raise error

    with name_server(monkeypatch, refused), client_of(f"http://{NAME}", max_attempts=1) as client:
        with pytest.raises(Unavailable) as failed:
            ask(client, LONGEST_S)
        assert failed.value.may_have_taken_effect is False


def test_a_name_is_looked_up_again_after_no_thread_was_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = name_server(monkeypatch, lambda: "127.0.0.1")
    with wire_server(answers(reply(b'{"results":[]}'))) as server, names:
        url = server.base_url.replace("127.0.0.1", NAME)
        with client_of(url, max_attempts=1) as client:
            with monkeypatch.context() as full:
                full.setattr(threading.Thread, "start", refuse)
                with pytest.raises(Unavailable):
                    ask(client, LONGEST_S)

            assert ask(client, LONGEST_S) == 200


def test_a_name_that_nobody_knows_was_never_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with name_server(monkeypatch, unknown), client_of(f"http://{NAME}", max_attempts=1) as client:
        with pytest.raises(Unavailable) as failed:
            ask(client, LONGEST_S)
        assert failed.value.may_have_taken_effect is False
