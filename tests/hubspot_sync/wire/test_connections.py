"""Connections are few: who waits for one, and with what."""

from __future__ import annotations

import socket
import threading

import pytest

from hubspot_sync.client import HubSpotClient
from hubspot_sync.errors import HubSpotError, RateLimited, Unavailable
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Answer, Request
from tests.hubspot_sync.clients import client_of
from tests.hubspot_sync.wire_server import reply, wire_server
from tests.waiting import eventually

READ = Request(operation=Operation.BATCH_READ, object_type="0-1", body={"inputs": [{"id": "1"}]})
EMPTY = reply(b'{"results":[]}')


def ask(client: HubSpotClient, seconds: float = 30.0) -> Answer:
    """As the desk, which all connections are for."""
    deadline = Deadline.after(seconds)
    return client.transport.call(READ, CallContext(deadline=deadline, priority=Priority.DESK))


def test_no_more_connections_are_open_than_the_pool_has_and_all_calls_come_through() -> None:
    lock, open_now, most = threading.Lock(), 0, 0

    def behave(connection: socket.socket, _number: int) -> bool:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        server.stopped.wait(0.01)
        with lock:
            open_now -= 1
        connection.sendall(EMPTY)
        return True

    with wire_server(behave) as server, client_of(server.base_url, pool_size=3) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert client.call_log.snapshot().calls == {("objects.batch_read", 200): 40}
    assert most <= 3


def test_a_slot_that_grew_old_in_a_wait_for_a_connection_is_not_sent_with() -> None:
    """Meanwhile HubSpot has said that nothing may be sent for seven seconds."""
    too_many = b'{"policyName":"TEN_SECONDLY_ROLLING"}'
    raw = reply(too_many, status="429 Too Many Requests", headers="Retry-After: 7\r\n")
    arrived, release, now_s = threading.Event(), threading.Event(), [1_000.0]
    failed = list[HubSpotError]()

    def behave(connection: socket.socket, _number: int) -> bool:
        arrived.set()
        release.wait(30)
        connection.sendall(raw)
        return True

    def ask_by_clock() -> None:
        deadline = Deadline.after(5.0, lambda: now_s[0])
        with pytest.raises(HubSpotError) as raised:
            client.transport.call(READ, CallContext(deadline=deadline, priority=Priority.DESK))
        failed.append(raised.value)

    with (
        wire_server(behave) as server,
        client_of(server.base_url, pool_size=1, clock=lambda: now_s[0]) as client,
    ):
        callers = [threading.Thread(target=ask_by_clock) for _ in "ab"]
        callers[0].start()
        assert arrived.wait(10)
        callers[1].start()
        eventually(lambda: client.rate_budget.usage().window[0] == 2)
        now_s[0] += 2.0
        release.set()
        for caller in callers:
            caller.join()

    assert [type(error) for error in failed] == [RateLimited, RateLimited]
    assert len(server.requests) == 1


def test_a_caller_without_time_does_not_wait_for_a_connection() -> None:
    arrived = threading.Event()

    def behave(connection: socket.socket, _number: int) -> bool:
        arrived.set()
        release.wait(30)
        connection.sendall(EMPTY)
        return True

    release = threading.Event()
    with wire_server(behave) as server, client_of(server.base_url, pool_size=1) as client:
        holder = threading.Thread(target=ask, args=(client,))
        holder.start()
        assert arrived.wait(10)
        with pytest.raises(Unavailable) as raised:
            ask(client, seconds=0.1)
        release.set()
        holder.join()

    assert not raised.value.may_have_taken_effect
    assert len(server.requests) == 1
