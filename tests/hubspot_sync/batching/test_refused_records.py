"""A record that HubSpot refuses is found once, and sent apart for ten minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from math import ceil, log2
from typing import Any

import orjson
import pytest
import responses
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests import PreparedRequest

from hubspot_sync.batching.batch import Created, NotCreated
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import NewRecord, RawRecord
from hubspot_sync.batching.refused_records import MIN_REFUSED_BY_PORTAL
from hubspot_sync.client import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import Refused
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS
from tests.sandbox import TOKEN

HUBSPOT = "https://api.hubapi.com"
OBJECTS = f"{HUBSPOT}/crm/objects/2026-09/0-1/batch"
LINKS = f"{HUBSPOT}/crm/associations/2026-09/0-1/2-50158943/batch/read"
IDS = [str(n) for n in range(1, 101)]
TEN_MINUTES_S = 600
CALLS_TO_FIND_ONE = 2 + ceil(log2(100))


class PickyPortal:
    """Refuses whole whatever has a bad record in it, be it by id or by e-mail."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.now_s = 1_000.0
        self.batches: list[list[str]] = []
        self.status = 400
        self.client: HubSpotClient

    def __call__(self, request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        inputs = orjson.loads(request.body or b"{}")["inputs"]
        keys = [one.get("id") or one["properties"]["email"] for one in inputs]
        self.batches.append(keys)
        if self.bad.intersection(keys):
            refusal = {"category": "VALIDATION_ERROR", "message": "One is wrong."}
            return self.status, {}, orjson.dumps(refusal)
        return 200, {}, orjson.dumps({"results": [self._answer(one) for one in inputs]})

    @staticmethod
    def _answer(one: dict[str, Any]) -> dict[str, Any]:
        properties = one.get("properties", {})
        record_id = one.get("id") or properties["email"].removesuffix("@x.org")
        known = {"id": record_id, "properties": properties, "from": {"id": record_id}, "to": []}
        return known | {"objectWriteTraceId": one.get("objectWriteTraceId")}

    @property
    def context(self) -> CallContext:
        return CallContext(deadline=Deadline.after(1_000))

    def calls_of(self, ids: Sequence[str], operation: str) -> int:
        """How many calls this takes; the answer must be right."""
        before = len(self.batches)
        outcome = self.ask(ids, operation)
        assert outcome.found.keys() == set(ids) - self.bad
        assert outcome.unknown.keys() == set(ids) & self.bad
        assert all(isinstance(error, Refused) for error in outcome.unknown.values())
        return len(self.batches) - before

    def ask(self, ids: Sequence[str], operation: str) -> Many[RawRecord] | Many[tuple[str, ...]]:
        batch = self.client.batch
        if operation == "update":
            changes = {record_id: {"firstname": "Ada"} for record_id in ids}
            return batch.update(CONTACTS, changes, context=self.context)
        if operation == "read":
            return batch.read(CONTACTS, ids, properties=["email"], context=self.context)
        return batch.read_associations(CONTACTS, BOOKINGS, ids, context=self.context)

    def create(self, attempt: int) -> tuple[int, set[str]]:
        """Create a record for each id, with trace ids of this attempt; how many calls, and for whom
        none was made."""
        before = len(self.batches)
        records = [
            NewRecord(trace_id=f"{attempt}-{n}", properties={"email": f"{n}@x.org"}, origin=n)
            for n in IDS
        ]
        outcomes = self.client.batch.create(CONTACTS, records, context=self.context)
        refused = {
            record.origin for record in records if isinstance(outcomes[record.trace_id], NotCreated)
        }
        made = [outcome for outcome in outcomes.values() if isinstance(outcome, Created)]
        assert len(made) + len(refused) == 100
        return len(self.batches) - before, refused


@contextmanager
def picky_portal(bad: set[str]) -> Iterator[PickyPortal]:
    portal = PickyPortal()
    portal.bad = bad
    config = HubSpotConfig(base_url=HUBSPOT, token=TOKEN, requests_per_window=100_000)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        for address in (f"{OBJECTS}/read", f"{OBJECTS}/update", f"{OBJECTS}/create", LINKS):
            wire.add_callback(responses.POST, address, callback=portal)
        with closing(build_client(config, clock=lambda: portal.now_s)) as client:
            portal.client = client
            yield portal


@pytest.mark.sampled(3)
@pytest.mark.parametrize("operation", ["read", "links", "update"])
@pytest.mark.parametrize("culprit", ["1", "50", "100"])
def test_one_culprit_is_searched_for_once_and_then_sent_apart(operation: str, culprit: str) -> None:
    with picky_portal({culprit}) as portal:
        assert portal.calls_of(IDS, operation) <= CALLS_TO_FIND_ONE
        assert portal.calls_of(IDS, operation) == 2
        assert sorted(map(len, portal.batches[-2:])) == [1, 99]

        portal.now_s += TEN_MINUTES_S + 1
        assert portal.calls_of(IDS, operation) > 2


@pytest.mark.parametrize("operation", ["read", "links", "update"])
def test_a_culprit_that_was_mended_goes_with_the_others_again(operation: str) -> None:
    with picky_portal({"7"}) as portal:
        portal.calls_of(IDS, operation)
        portal.bad = set()

        assert portal.calls_of(IDS, operation) == 2
        assert portal.calls_of(IDS, operation) == 1


def test_a_record_whose_update_is_refused_is_still_read_with_the_others() -> None:
    with picky_portal({"7"}) as portal:
        portal.calls_of(IDS, "update")
        portal.bad = set()

        assert portal.calls_of(IDS, "read") == 1


def test_a_create_is_known_again_by_whom_it_is_made_for() -> None:
    """Its trace id is new each time."""
    with picky_portal({"7@x.org"}) as portal:
        calls, refused = portal.create(1)
        assert (refused, calls <= CALLS_TO_FIND_ONE) == ({"7"}, True)

        assert portal.create(2) == (2, {"7"})


@pytest.mark.parametrize("operation", ["read", "links"])
def test_a_read_that_is_refused_to_everybody_costs_few_calls_however_often(operation: str) -> None:
    with picky_portal(set(IDS)) as portal:
        for _ in range(6):
            before = len(portal.batches)
            assert portal.ask(IDS, operation).unknown.keys() == set(IDS)
            assert len(portal.batches) - before <= 32


def test_a_write_that_is_refused_to_everybody_sends_nobody_apart() -> None:
    with picky_portal(set(IDS)) as portal:
        portal.calls_of(IDS[:20], "update")
        portal.bad = set()

        assert portal.calls_of(IDS, "update") == 1


def test_a_read_of_a_type_that_does_not_exist_is_not_asked_for_record_by_record() -> None:
    with picky_portal(set(IDS)) as portal:
        portal.status = 404
        portal.ask(IDS, "read")

        assert len(portal.batches) == 1


def test_a_read_without_permission_is_refused_once_for_all() -> None:
    with picky_portal(set(IDS)) as portal:
        portal.status = 403
        portal.ask(IDS, "read")

        assert len(portal.batches) == 1


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 25), max_size=25), st.sampled_from(["read", "links"]))
@example(set(range(1, 16)), "read")
def test_whoever_is_bad_the_good_are_found_the_second_time_at_the_latest(
    bad: set[int], operation: str
) -> None:
    ids = IDS[:25]
    with picky_portal({str(n) for n in bad}) as portal:
        portal.ask(ids, operation)
        outcome = portal.ask(ids, operation)

    bad_ones_first = next((n for n in range(1, 26) if n not in bad), 26) - 1
    if bad_ones_first < MIN_REFUSED_BY_PORTAL:
        assert outcome.found.keys() == set(ids) - portal.bad
    assert outcome.found.keys() | outcome.unknown.keys() == set(ids)
    assert portal.bad & set(ids) <= outcome.unknown.keys()
