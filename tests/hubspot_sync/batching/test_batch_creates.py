"""Creates and refused writes: the culprit gets its refusal, the others go through."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import Any

import orjson
import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st
from requests import PreparedRequest

from hubspot_sync.batching.batch import Created, NotCreated, Unclear
from hubspot_sync.batching.raw_records import NewAssociation, NewRecord
from hubspot_sync.errors import Refused
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, bulk_contacts, client_of, contact
from tests.sandbox import SandboxHandle

HUBSPOT = "https://api.hubapi.com"
CREATE = f"{HUBSPOT}/crm/objects/2026-09/0-1/batch/create"
Reply = tuple[int, dict[str, str], bytes]


def test_250_creates_are_three_calls_and_each_is_told_its_id(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        outcomes = client.batch.create(CONTACTS, [contact(n) for n in range(250)], context=asking())

    emails = {
        trace_id: outcome.record.properties["email"]
        for trace_id, outcome in outcomes.items()
        if isinstance(outcome, Created)
    }
    assert emails == {f"trace-{n}": f"student{n}@example.org" for n in range(250)}
    assert kind_sandbox.calls_count() == 3


def test_a_record_is_made_and_linked_in_one_call(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    labels = kind_sandbox.call("GET", f"/crm/v4/associations/{BOOKINGS}/{CONTACTS}/labels").body
    kind_sandbox.clear_calls()
    link = NewAssociation(
        to_id="1001",
        type_id=labels["results"][0]["typeId"],
        category=labels["results"][0]["category"],
    )
    booking = NewRecord(trace_id="b-1", properties={}, associations=(link,))
    with client_of(kind_sandbox.base_url) as client:
        outcome = client.batch.create(BOOKINGS, [booking], context=asking())["b-1"]
        assert isinstance(outcome, Created)
        assert kind_sandbox.calls_count() == 1
        read = client.batch.read_associations(CONTACTS, BOOKINGS, ["1001"], context=asking())

    assert read.found == {"1001": (outcome.record.id,)}


def test_the_same_trace_id_twice_is_a_mistake_of_ours() -> None:
    with client_of(HUBSPOT) as client, pytest.raises(ValueError, match="trace id"):
        client.batch.create(CONTACTS, [contact(1), contact(1)], context=asking())


@pytest.mark.sampled(2)
@pytest.mark.parametrize("culprit", [0, 1, 49, 50, 98, 99])
def test_one_taken_email_among_a_hundred_costs_few_calls_and_only_its_own_record(
    kind_sandbox: SandboxHandle, culprit: int
) -> None:
    kind_sandbox.bulk(
        [{"type": CONTACTS, "properties": {"email": f"student{culprit}@example.org"}}]
    )
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        outcomes = client.batch.create(CONTACTS, [contact(n) for n in range(100)], context=asking())

    guilty = outcomes.pop(f"trace-{culprit}")
    assert isinstance(guilty, NotCreated)
    assert isinstance(guilty.error, Refused)
    assert all(isinstance(outcome, Created) for outcome in outcomes.values())
    assert len(kind_sandbox.records(CONTACTS)) == 100
    assert kind_sandbox.calls_count() <= 2 + ceil(log2(100))


def test_an_update_refused_for_one_record_changes_the_others(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(20))
    changes = {str(1001 + n): {"firstname": "Ada"} for n in range(20)}
    changes["1007"] = {"email": "s0@example.org"}
    with client_of(kind_sandbox.base_url) as client:
        updated = client.batch.update(CONTACTS, changes, context=asking())

    assert updated.unknown.keys() == {"1007"}
    assert isinstance(updated.unknown["1007"], Refused)
    assert len(updated.found) == 19


class StrictPortal:
    """Refuses every create that has a bad record in it, whole; keeps what it made."""

    def __init__(self, bad: set[str]) -> None:
        self.bad = bad
        self.made: list[str] = []
        self.calls = 0

    def __call__(self, request: PreparedRequest) -> Reply:
        self.calls += 1
        inputs = orjson.loads(request.body or b"{}")["inputs"]
        traces = [one["objectWriteTraceId"] for one in inputs]
        if self.bad.intersection(traces):
            refusal = {"category": "VALIDATION_ERROR", "message": "One is wrong."}
            return 400, {}, orjson.dumps(refusal)
        self.made += traces
        results = [
            {"id": str(1 + len(self.made)), "properties": one["properties"]} for one in inputs
        ]
        return 201, {}, orjson.dumps({"results": list(reversed(results))})


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.sets(st.integers(0, 29), max_size=30))
def test_whoever_is_bad_the_good_are_made_once_and_the_bad_are_refused(
    count: int, bad: set[int]
) -> None:
    portal = StrictPortal({f"trace-{n}" for n in bad if n < count})
    records = [contact(n) for n in range(count)]
    with responses.RequestsMock() as wire, client_of(HUBSPOT) as client:
        wire.add_callback(responses.POST, CREATE, callback=portal)
        outcomes = client.batch.create(CONTACTS, records, context=asking(60))

    refused = {trace for trace, outcome in outcomes.items() if isinstance(outcome, NotCreated)}
    created = {trace for trace, outcome in outcomes.items() if isinstance(outcome, Created)}
    assert refused == portal.bad
    assert sorted(portal.made) == sorted(created)
    assert refused | created == {record.trace_id for record in records}
    assert portal.calls <= 2 * count + 2 * ceil(log2(count + 1))


def answered(body: dict[str, Any], status: int = 201) -> Callable[[PreparedRequest], Reply]:
    return lambda _request: (status, {}, orjson.dumps(body))


def created_from(body: dict[str, Any], *records: NewRecord, status: int = 201) -> dict[str, Any]:
    with responses.RequestsMock() as wire, client_of(HUBSPOT) as client:
        wire.add_callback(responses.POST, CREATE, callback=answered(body, status))
        return dict(client.batch.create(CONTACTS, records, context=asking()))


def test_results_are_told_apart_by_trace_id_where_hubspot_gives_it_back() -> None:
    one = {"id": "1", "properties": {}, "objectWriteTraceId": "trace-1"}
    two = {"id": "2", "properties": {}, "objectWriteTraceId": "trace-2"}

    outcomes = created_from({"results": [two, one]}, contact(1), contact(2))

    assert (outcomes["trace-1"].record.id, outcomes["trace-2"].record.id) == ("1", "2")


def test_results_are_told_apart_by_their_values_where_it_does_not() -> None:
    one = {"id": "1", "properties": {"email": "student1@example.org", "extra": "default"}}
    two = {"id": "2", "properties": {"email": "student2@example.org"}}

    outcomes = created_from({"results": [two, one]}, contact(1), contact(2))

    assert (outcomes["trace-1"].record.id, outcomes["trace-2"].record.id) == ("1", "2")


def test_results_that_cannot_be_told_apart_are_unclear() -> None:
    twins = [NewRecord(trace_id=trace, properties={"a": "b"}) for trace in ("x", "y")]
    results = [{"id": "1", "properties": {"a": "b"}}, {"id": "2", "properties": {"a": "b"}}]

    outcomes = created_from({"results": results}, *twins)

    assert all(isinstance(outcome, Unclear) for outcome in outcomes.values())
    assert all(outcome.error.may_have_taken_effect for outcome in outcomes.values())


def test_a_member_refused_in_a_207_was_not_made_and_a_strange_one_is_unclear() -> None:
    body = {
        "results": [{"id": "1", "properties": {"email": "student1@example.org"}}],
        "errors": [
            {
                "category": "VALIDATION_ERROR",
                "message": "no",
                "context": {"objectWriteTraceId": ["trace-2"]},
            },
            {"category": "NEW", "message": "?", "context": {"objectWriteTraceId": ["trace-3"]}},
        ],
    }

    outcomes = created_from(body, contact(1), contact(2), contact(3), contact(4), status=207)

    kinds = {trace: type(outcome) for trace, outcome in outcomes.items()}
    assert kinds == {
        "trace-1": Created,
        "trace-2": NotCreated,
        "trace-3": Unclear,
        "trace-4": Unclear,
    }
