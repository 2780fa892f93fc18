"""What callers of the client see when HubSpot answers badly, late or not at all."""

from __future__ import annotations

import threading

import pytest

from hubspot_sync.batching.batch import Created, NotCreated, Unclear
from hubspot_sync.batching.paging import search_ids
from hubspot_sync.errors import Refused, Unavailable
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, bulk_contacts, client_of, contact
from tests.sandbox import SandboxHandle, start_sandbox
from tests.server import free_port

COOLDOWN_S = 30.0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_burst_of_5xx_is_read_through(kind_sandbox: SandboxHandle, status: int) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    kind_sandbox.fault("status", path="batch/read", status=status, times=2)
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ["1001"], properties=["email"], context=asking())

    assert read.found["1001"].properties["email"] == "s0@example.org"


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_a_cut_read_is_read_again(kind_sandbox: SandboxHandle, action: str) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    kind_sandbox.fault(action, path="batch/read", times=1)
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ["1001"], properties=[], context=asking())

    assert read.found.keys() == {"1001"}


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_a_cut_update_is_sent_again(kind_sandbox: SandboxHandle, action: str) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    kind_sandbox.fault(action, path="batch/update", times=1)
    with client_of(kind_sandbox.base_url) as client:
        client.batch.update(CONTACTS, {"1001": {"firstname": "Ada"}}, context=asking())

    assert kind_sandbox.record(CONTACTS, "1001")["properties"]["firstname"] == "Ada"


@pytest.mark.parametrize(("action", "made"), [("cut_before", 0), ("cut_after", 1)])
def test_a_cut_create_is_never_sent_again_and_says_that_it_is_unclear(
    kind_sandbox: SandboxHandle, action: str, made: int
) -> None:
    kind_sandbox.fault(action, path="batch/create", times=1)
    with client_of(kind_sandbox.base_url) as client:
        outcome = client.batch.create(CONTACTS, [contact(1)], context=asking())["trace-1"]

    assert isinstance(outcome, Unclear)
    assert outcome.error.may_have_taken_effect
    assert kind_sandbox.calls_count("objects.batch_create") == 1
    assert len(kind_sandbox.records(CONTACTS)) == made


def test_a_create_answered_with_5xx_is_unclear(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("status", path="batch/create", status=502, times=1)
    with client_of(kind_sandbox.base_url) as client:
        outcome = client.batch.create(CONTACTS, [contact(1)], context=asking())["trace-1"]

    assert isinstance(outcome, Unclear)
    assert outcome.error.status == 502


def test_a_locked_record_is_waited_for(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("status", path="batch/create", status=423, times=1)
    with client_of(kind_sandbox.base_url) as client:
        early = client.batch.create(CONTACTS, [contact(1)], context=asking(1.9))["trace-1"]
        assert isinstance(early, NotCreated)
        assert early.error.retry_after_s == 2.0

        kind_sandbox.fault("status", path="batch/create", status=423, times=1)
        outcome = client.batch.create(CONTACTS, [contact(1)], context=asking())["trace-1"]

    assert isinstance(outcome, Created)


def test_a_refusal_is_not_tried_again(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("status", path="search", status=403)
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client, pytest.raises(Refused) as refused:
        search_ids(client.transport, CONTACTS, [], asking())

    assert refused.value.status == 403
    assert refused.value.category == "MISSING_SCOPES"
    assert kind_sandbox.calls_count("objects.search") == 1


def test_a_failed_part_is_unknown_and_the_others_are_found(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(250))
    kind_sandbox.fault("status", path="batch/read", status=500, nth=1)
    ids = [str(1001 + n) for n in range(250)]
    with client_of(kind_sandbox.base_url, max_attempts=1) as client:
        read = client.batch.read(CONTACTS, ids, properties=[], context=asking())

    assert len(read.unknown) in {50, 100}
    assert len(read.found) + len(read.unknown) == 250
    assert read.missing == frozenset()
    with pytest.raises(Unavailable):
        read.require_complete()


def test_a_partly_failed_207_is_unknown_where_it_failed(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(5))
    kind_sandbox.fault("partial", path="batch/read", last=2, times=1)
    ids = ["1001", "1002", "1003", "1004", "1005"]
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ids, properties=[], context=asking())

    assert read.found.keys() == {"1001", "1002", "1003"}
    assert read.unknown.keys() == {"1004", "1005"}
    assert read.missing == frozenset()


def test_a_partly_failed_create_says_which(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("partial", path="batch/create", last=1, times=1)
    with client_of(kind_sandbox.base_url) as client:
        outcomes = client.batch.create(CONTACTS, [contact(1), contact(2)], context=asking())

    assert isinstance(outcomes["trace-1"], Created)
    assert isinstance(outcomes["trace-2"], Unclear)


def test_associations_that_failed_are_unknown_never_zero(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(3))
    kind_sandbox.fault("partial", path="associations", last=1, times=1)
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read_associations(
            CONTACTS, BOOKINGS, ["1001", "1002", "1003"], context=asking()
        )

    assert read.found == {"1001": (), "1002": ()}
    assert read.unknown.keys() == {"1003"}


def test_a_late_answer_costs_no_more_than_the_deadline(kind_sandbox: SandboxHandle) -> None:
    """Without a deadline we would wait for it longer than a test may last."""
    late_answer = kind_sandbox.fault("delay", path="search", delay_ms=600_000)
    with client_of(kind_sandbox.base_url, read_timeout_s=600) as client:
        with pytest.raises(Unavailable) as late:
            search_ids(client.transport, CONTACTS, [], asking(0.3))
        seen = client.call_log.snapshot()
    kind_sandbox.clear_faults(late_answer)

    assert seen.calls == {("objects.search", None): 1}
    assert not late.value.may_have_taken_effect


@pytest.mark.chaos
def test_a_killed_hubspot_is_failed_fast_and_used_again_when_it_is_back() -> None:
    port, now_s = free_port(), 0.0
    sandbox = start_sandbox(port=port)
    with client_of(
        sandbox.base_url,
        clock=lambda: now_s,
        breaker_failures=4,
        breaker_cooldown_s=COOLDOWN_S,
    ) as client:

        def read() -> bool:
            return client.batch.read(CONTACTS, ["1"], properties=[], context=asking()).complete

        assert read()
        sandbox.kill()
        assert [read() for _ in range(3)] == [False] * 3
        attempts = client.call_log.snapshot().calls
        assert [read() for _ in range(50)] == [False] * 50
        assert client.call_log.snapshot().calls == attempts

        back = start_sandbox(port=port)
        try:
            assert not read()
            now_s += COOLDOWN_S
            assert [read() for _ in range(20)] == [True] * 20
        finally:
            back.stop()


def test_who_waited_for_a_slot_while_hubspot_went_down_does_not_ask_it_any_more(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.fault("cut_before")
    with client_of(
        kind_sandbox.base_url,
        breaker_failures=2,
        breaker_cooldown_s=60,
        max_attempts=1,
        requests_per_window=3,
        window_s=1,
    ) as client:

        def read() -> None:
            client.batch.read(CONTACTS, ["1"], properties=[], context=asking())

        threads = [threading.Thread(target=read) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = client.call_log.snapshot()

    assert sum(seen.calls.values()) <= 3
