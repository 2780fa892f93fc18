"""Under HubSpot's limits as HubSpot counts them: no 429, and hardly anything left unused."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from hubspot_sync.batching.batch import Created
from hubspot_sync.batching.paging import search_ids
from hubspot_sync.errors import HubSpotError, RateLimited
from tests.hubspot_sync.clients import CONTACTS, asking, client_of, contact
from tests.sandbox import SandboxHandle, start_sandbox

THREADS = 24
MEASUREMENTS = 5


def all_at_once(work: Callable[[], object], times: int) -> list[HubSpotError]:
    """Do it so often in many threads; return what went wrong."""
    left = threading.Semaphore(times)
    errors: list[HubSpotError] = []

    def worker() -> None:
        while left.acquire(blocking=False):
            try:
                work()
            except HubSpotError as error:
                errors.append(error)

    threads = [threading.Thread(target=worker) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def share_used(sandbox: SandboxHandle, limit: int, window_s: float) -> float:
    """How much of the limit was used, from the first arrival until the last windowful began."""
    arrivals = sorted(call["at"] for call in sandbox.calls())
    windows = (arrivals[-limit] - arrivals[0]) / window_s
    return (len(arrivals) - limit) / (limit * windows)


@pytest.fixture
def own_sandbox() -> Iterator[SandboxHandle]:
    """A kind sandbox of the test's own: a server of another test may still have things to ask of
    the common one, and its calls would be counted here."""
    handle = start_sandbox()
    yield handle
    handle.stop()


@pytest.mark.chaos
def test_a_steady_load_meets_no_429_and_uses_nine_tenths_of_the_limit(
    own_sandbox: SandboxHandle,
) -> None:
    """A busy machine's late threads leave some of it unused, and nothing makes it use more than it
    could: so once is enough."""
    own_sandbox.bulk([{"type": CONTACTS, "id": "1", "properties": {}}])
    own_sandbox.configure(rate_limit=60, rate_window_s=1.0, latency_ms=5, jitter_ms=30)
    shares = []
    while len(shares) < MEASUREMENTS and max(shares, default=0.0) < 0.9:
        own_sandbox.advance(10)  # what the client before sent is out of the window
        own_sandbox.clear_calls()
        with client_of(own_sandbox.base_url, requests_per_window=60, window_s=1.0) as client:
            errors = all_at_once(
                lambda: client.batch.read(CONTACTS, ["1"], properties=[], context=asking()),
                200,
            )
            sent = client.call_log.snapshot()

        assert errors == []
        assert (dict(sent.calls), sent.retries) == ({("objects.batch_read", 200): 200}, 0)
        met = Counter((call["operation"], call["status"]) for call in own_sandbox.calls())
        assert met == {("objects.batch_read", 200): 200}
        shares.append(share_used(own_sandbox, 60, 1.0))

    assert max(shares) >= 0.9


def test_searches_meet_no_429_either(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.configure(latency_ms=2, jitter_ms=20)
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        errors = all_at_once(lambda: search_ids(client.transport, CONTACTS, [], asking()), 15)

    assert errors == []
    assert kind_sandbox.calls_count(status=429) == 0
    assert kind_sandbox.calls_count() == 15


@pytest.mark.chaos
def test_another_user_of_the_token_costs_waits_but_no_errors(kind_sandbox: SandboxHandle) -> None:
    """The sandbox allows less than the client believes it has."""
    kind_sandbox.configure(rate_limit=10, rate_window_s=1.0)
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url, requests_per_window=20, window_s=1.0) as client:
        read = client.batch.read(
            CONTACTS, [str(n) for n in range(1, 1_501)], properties=[], context=asking()
        )

    assert read.complete
    assert kind_sandbox.calls_count(status=429) > 0


def test_a_429_in_the_middle_is_waited_out_even_by_a_create(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("status", path="batch/create", status=429, times=1)
    with client_of(kind_sandbox.base_url) as client:
        outcomes = client.batch.create(CONTACTS, [contact(1)], context=asking())
        seen = client.call_log.snapshot()

    assert isinstance(outcomes["trace-1"], Created)
    assert seen.calls["objects.batch_create", 429] == 1
    assert seen.retries == 1


def test_the_daily_limit_is_not_tried_again(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.configure(daily_limit=0)
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client, pytest.raises(RateLimited) as refused:
        search_ids(client.transport, CONTACTS, [], asking())

    assert refused.value.status == 429
    assert refused.value.category == "DAILY"
    assert kind_sandbox.calls_count() == 1
