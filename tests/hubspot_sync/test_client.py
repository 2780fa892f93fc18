"""The client put together: everything once, in every API version; and its beginning and end."""

from __future__ import annotations

import threading

import pytest

from hubspot_sync.batching.batch import Created
from hubspot_sync.batching.paging import SearchFilter, search_ids
from hubspot_sync.batching.raw_records import NewAssociation, NewRecord
from hubspot_sync.client import build_client
from hubspot_sync.config import API_VERSIONS, ApiVersion, HubSpotConfig
from hubspot_sync.wire.call_log import CallRecord
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, bulk_contacts, client_of, contact
from tests.sandbox import TOKEN, SandboxHandle

PATIENCE_S = 60.0


@pytest.mark.parametrize("version", API_VERSIONS)
def test_a_records_life_in_every_version_of_the_api(
    kind_sandbox: SandboxHandle, version: ApiVersion
) -> None:
    with client_of(kind_sandbox.base_url, api_version=version) as client:
        labels = client.transport.call(
            Request(operation=Operation.LABELS, object_type=BOOKINGS, to_type=CONTACTS), asking()
        ).results
        alice = client.batch.create(CONTACTS, [contact(1)], context=asking())["trace-1"]
        assert isinstance(alice, Created)
        link = NewAssociation(
            to_id=alice.record.id, type_id=labels[0]["typeId"], category=labels[0]["category"]
        )
        seat = NewRecord(trace_id="b", properties={}, associations=(link,))
        booking = client.batch.create(BOOKINGS, [seat], context=asking())["b"]
        assert isinstance(booking, Created)

        alice_id, booking_id = alice.record.id, booking.record.id
        client.batch.update(CONTACTS, {alice_id: {"firstname": "Alice"}}, context=asking())
        read = client.batch.read(CONTACTS, [alice_id], properties=["firstname"], context=asking())
        linked = client.coalescer.read_associations(
            CONTACTS, BOOKINGS, [alice_id], context=asking()
        )
        named = SearchFilter(property_name="firstname", operator="EQ", value="Alice")
        found = search_ids(client.transport, CONTACTS, [named], asking())
        client.batch.archive(BOOKINGS, [booking_id], context=asking())
        after = client.batch.read_associations(CONTACTS, BOOKINGS, [alice_id], context=asking())

    assert read.found[alice_id].properties["firstname"] == "Alice"
    assert linked.found == {alice_id: (booking_id,)}
    assert found == (alice_id,)
    assert after.found == {alice_id: ()}


def test_a_client_that_is_not_used_opens_nothing_and_starts_nothing() -> None:
    before = set(threading.enumerate())

    build_client(HubSpotConfig(base_url="http://127.0.0.1:1", token=TOKEN)).close()

    assert set(threading.enumerate()) <= before


def test_a_closed_client_leaves_no_thread_behind(kind_sandbox: SandboxHandle) -> None:
    before = set(threading.enumerate())
    with client_of(kind_sandbox.base_url) as client:
        ids = [str(n) for n in range(1, 501)]
        client.batch.read(CONTACTS, ids, properties=[], context=asking())
        assert not set(threading.enumerate()) <= before

    assert set(threading.enumerate()) <= before


def test_observers_given_at_the_start_see_every_call(kind_sandbox: SandboxHandle) -> None:
    seen: list[CallRecord] = []
    config = HubSpotConfig(base_url=kind_sandbox.base_url, token=TOKEN)
    client = build_client(config, observers=[seen.append])
    kind_sandbox.bulk([{"type": CONTACTS, "id": "1", "properties": {}}])
    client.batch.read(CONTACTS, ["1"], properties=[], context=asking(background=True))
    client.close()

    assert [(one.operation, one.object_type, one.background) for one in seen] == [
        ("objects.batch_read", CONTACTS, True)
    ]


def test_128_threads_on_few_connections_all_come_through(kind_sandbox: SandboxHandle) -> None:
    """More threads than workers and connections, each with several chunks: slower, never stuck."""
    kind_sandbox.configure(rate_limit=100_000, latency_ms=2, jitter_ms=5)
    kind_sandbox.bulk(bulk_contacts(128 * 110))  # one that is missing would be asked for by itself
    start, complete = threading.Barrier(128), []
    with client_of(kind_sandbox.base_url, pool_size=4, requests_per_window=100_000) as client:

        def ask(number: int) -> None:
            start.wait(PATIENCE_S)
            ids = [str(1001 + number * 110 + n) for n in range(110)]
            read = client.coalescer.read(
                CONTACTS, ids, properties=["email"], context=asking(PATIENCE_S)
            )
            complete.append(read.complete and len(read.found) == 110)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(128)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert complete == [True] * 128
