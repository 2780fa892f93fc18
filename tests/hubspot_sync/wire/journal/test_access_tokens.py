"""The journal's token: kept, renewed in time and by one thread for all, shown nowhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback

import pytest

from hubspot_sync.errors import HubSpotError, Refused, Unavailable
from hubspot_sync.wire.journal.access_tokens import AccessToken
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.journal_calls import JournalCall
from tests.hubspot_sync.journals import CLIENT_SECRET, journal_config, journal_of, soon
from tests.hubspot_sync.wire_server import reply, wire_server
from tests.sandbox import SandboxHandle


def tokens_given(sandbox: SandboxHandle) -> int:
    return int(sandbox.journal()["tokens"])


def test_one_token_serves_many_calls_and_is_renewed_before_it_ends(
    kind_sandbox: SandboxHandle,
) -> None:
    now_s = [1_000.0]
    with journal_of(kind_sandbox.base_url, clock=lambda: now_s[0]) as journal:
        for _ in range(5):
            journal.read_earliest(soon())
        given = tokens_given(kind_sandbox)
        now_s[0] += 1_735
        journal.read_earliest(soon())
        still = tokens_given(kind_sandbox)
        now_s[0] += 10
        journal.read_earliest(soon())

    assert (given, still, tokens_given(kind_sandbox)) == (1, 1, 2)


def read_at_once(journal: ChangeJournal, count: int) -> list[HubSpotError]:
    barrier, failed = threading.Barrier(count), list[HubSpotError]()

    def read() -> None:
        barrier.wait()
        try:
            journal.read_earliest(soon())
        except HubSpotError as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_of_many_threads_one_fetches_the_token(kind_sandbox: SandboxHandle) -> None:
    with journal_of(kind_sandbox.base_url) as journal:
        failed = read_at_once(journal, 8)

    assert (failed, tokens_given(kind_sandbox)) == ([], 1)


def test_of_many_threads_that_are_refused_one_renews_the_token(
    kind_sandbox: SandboxHandle,
) -> None:
    with journal_of(kind_sandbox.base_url) as journal:
        journal.read_earliest(soon())
        kind_sandbox.revoke_journal_tokens()
        failed = read_at_once(journal, 8)

    assert (failed, tokens_given(kind_sandbox)) == ([], 2)


def test_a_second_401_is_a_refusal(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault(action="status", status=401, path="/earliest$")

    with journal_of(kind_sandbox.base_url) as journal, pytest.raises(Refused) as raised:
        journal.read_earliest(soon())

    assert (raised.value.status, tokens_given(kind_sandbox)) == (401, 2)


def test_the_objects_scopes_are_asked_for_where_a_call_needs_them(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.configure(journal={"object_scopes": "needed"})
    told: list[JournalCall] = []

    with journal_of(kind_sandbox.base_url, told=told) as journal:
        assert journal.read_earliest(soon()) is None
        assert journal.read_latest(soon()) is None

    assert [call.status for call in told] == [200, 403, 200, 204, 204]


def test_scopes_that_the_app_has_not_are_not_insisted_on(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.configure(journal={"object_scopes": "unknown"})
    kind_sandbox.fault(
        action="status", status=403, body={"category": "MISSING_SCOPES"}, path="/earliest$", times=1
    )

    with journal_of(kind_sandbox.base_url) as journal:
        assert journal.read_earliest(soon()) is None


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"client_id": "nobody"}, "BAD_CLIENT_ID"), ({"client_secret": "old"}, "BAD_CLIENT_SECRET")],
)
def test_an_app_that_hubspot_does_not_know_is_named_as_the_reason(
    kind_sandbox: SandboxHandle, wrong: dict[str, str], code: str
) -> None:
    told: list[JournalCall] = []
    with (
        journal_of(kind_sandbox.base_url, told=told, **wrong) as journal,
        pytest.raises(Refused, match=code) as raised,
    ):
        journal.read_earliest(soon())

    assert code in raised.value.safe_text
    assert [call.status for call in told] == [400]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html></html>",
        b'{"access_token":null}',
        b'{"access_token":5}',
        b'{"access_token":""}',
        b'{"access_token":"two words"}',
        b'{"access_token":"line\\r\\nX-Other: 1"}',
        b'{"access_token":"\\ud83d"}',
    ],
)
def test_an_answer_without_a_token_is_none(body: bytes) -> None:
    def behave(connection: socket.socket, _number: int) -> bool:
        connection.sendall(reply(body))
        return True

    with wire_server(behave) as server, journal_of(server.base_url) as journal:
        with pytest.raises(Unavailable):
            journal.read_earliest(soon())
        assert len(server.requests) == 1


@pytest.mark.parametrize("life", [None, 0, -5, "soon", True, {}, [], 1e300, "9" * 400])
def test_a_life_that_means_nothing_is_taken_for_a_short_one(life: object) -> None:
    """Neither for ever nor a renewal for each call."""
    now_s, given = [1_000.0], json.dumps({"access_token": "abc", "expires_in": life}).encode()

    def behave(connection: socket.socket, number: int) -> bool:
        is_token = server.requests[number - 1].startswith(b"POST /oauth/")
        connection.sendall(reply(given) if is_token else b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    def renewals() -> int:
        return sum(request.startswith(b"POST /oauth/") for request in server.requests)

    with (
        wire_server(behave) as server,
        journal_of(server.base_url, clock=lambda: now_s[0]) as journal,
    ):
        journal.read_earliest(soon())
        journal.read_earliest(soon())
        at_first = renewals()
        now_s[0] += 86_400
        journal.read_earliest(soon())

        assert (at_first, renewals()) == (1, 2)


def test_the_request_for_a_token_is_a_form_in_the_body_alone(kind_sandbox: SandboxHandle) -> None:
    """The sandbox takes nothing else."""
    with journal_of(kind_sandbox.base_url) as journal:
        journal.read_earliest(soon())

    (call,) = kind_sandbox.calls("journal.token")
    assert call["path"] == "/oauth/2026-09/token"


def test_neither_secret_nor_token_is_shown(
    kind_sandbox: SandboxHandle, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "hubspot_sync", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    kind_sandbox.fault(action="status", status=500, path="/latest$")
    errors: list[str] = []

    with journal_of(kind_sandbox.base_url) as journal:
        journal.read_earliest(soon())
        token = journal._calls._tokens.current(soon())
        with pytest.raises(Unavailable) as raised:
            journal.read_latest(soon())
        errors += traceback.format_exception(raised.value)
        kind_sandbox.fault(action="cut_before", path="/oauth/")
        kind_sandbox.revoke_journal_tokens()
        with pytest.raises(Unavailable) as raised:
            journal.read_earliest(soon())
        errors += traceback.format_exception(raised.value)

    shown = caplog.text + "".join(errors) + repr(token) + repr(journal_config("http://x"))
    assert "hubspot.journal_call" in caplog.text
    assert token.text not in shown
    assert CLIENT_SECRET not in shown
    assert isinstance(token, AccessToken)


def test_another_portals_token_is_used_for_nothing(kind_sandbox: SandboxHandle) -> None:
    told: list[JournalCall] = []
    with (
        journal_of(kind_sandbox.base_url, told=told, portal_id="62516") as journal,
        pytest.raises(Refused) as refused,
    ):
        journal.read_latest(soon())

    assert "62515" in refused.value.safe_text
    assert [call.operation.value for call in told] == ["journal.token"]
