"""Answers of any shape: nothing is raised, everybody is accounted for, half a row is no record."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import search_ids
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.record_names import is_record_id
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, client_of, contact

HUBSPOT = "https://api.hubapi.com"
OBJECTS = f"{HUBSPOT}/crm/objects/2026-09/0-1"
LINKS = f"{HUBSPOT}/crm/associations/2026-09/0-1/2-50158943/batch/read"
KEYS = [
    *(
        "results",
        "errors",
        "total",
        "paging",
        "next",
        "after",
        "context",
        "ids",
        "id",
        "from",
        "to",
    ),
    *("toObjectId", "fromObjectId", "category", "subCategory", "properties", "message"),
    *("objectWriteTraceId", "propertiesWithHistory", "timestamp", "value", "createdAt", "email"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["1", "2", 1, 2, "trace-1", "OBJECT_NOT_FOUND", "VALIDATION_ERROR", "1e999"])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=10,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["1", 1, "2"]) | VALUES,
        "properties": st.just({"email": "student1@example.org"}) | VALUES,
        "propertiesWithHistory": VALUES,
        "from": st.sampled_from([{"id": "1"}, {"id": 2}]) | VALUES,
        "to": st.lists(st.fixed_dictionaries({"toObjectId": VALUES}), max_size=2) | VALUES,
        "paging": VALUES,
        "objectWriteTraceId": VALUES,
        "category": st.just("OBJECT_NOT_FOUND") | VALUES,
        "subCategory": VALUES,
        "context": VALUES,
        "createdAt": st.just("0001-01-01T00:00:00+14:00") | VALUES,
    },
)
BODIES = st.fixed_dictionaries(
    {}, optional={name: st.lists(ROWS | VALUES, max_size=3) | VALUES for name in KEYS[:3]}
)


@settings(max_examples=40, deadline=None)
@given(BODIES, st.sampled_from([200, 201, 207, 400, 409]))
def test_no_answer_whatever_raises_and_every_key_is_in_one_part(
    body: dict[str, Any], status: int
) -> None:
    with responses.RequestsMock() as wire, client_of(HUBSPOT, max_attempts=1) as client:
        for address in (LINKS, *(f"{OBJECTS}/{tail}" for tail in TAILS)):
            wire.post(address, body=json.dumps(body), status=status)
        batch = client.batch
        parts: list[Many[Any]] = [
            batch.read(CONTACTS, ["1", "2"], properties=[], context=asking(), with_history=["a"]),
            batch.update(CONTACTS, {"1": {"a": "b"}, "2": {}}, context=asking()),
            batch.archive(CONTACTS, ["1", "2"], context=asking()),
            batch.read_associations(CONTACTS, BOOKINGS, ["1", "2"], context=asking()),
        ]
        created = batch.create(CONTACTS, [contact(1), contact(2)], context=asking())
        try:
            searched = search_ids(client.transport, CONTACTS, [], asking())
        except HubSpotError:
            searched = ()

    assert all(is_record_id(record_id) for record_id in searched)
    for part in parts:
        assert sorted([*part.found, *part.missing, *part.unknown]) == ["1", "2"]
    assert created.keys() == {"trace-1", "trace-2"}


TAILS = ("batch/read", "batch/update", "batch/create", "batch/archive", "search")


@responses.activate
@pytest.mark.parametrize(
    "row",
    [
        {"id": "2"},
        {"id": "2", "properties": None},
        {"id": "2", "properties": []},
        {"id": "2", "properties": "x"},
        {"id": None, "properties": {}},
        {"id": True, "properties": {}},
        {"id": ["2"], "properties": {}},
        {"id": 2.0, "properties": {}},
        {"properties": {}},
        {"id": "2", "properties": {}, "propertiesWithHistory": {"a": None}},
        {"id": "2", "properties": {}, "propertiesWithHistory": {"a": ["x"]}},
        {"id": "2", "properties": {}, "propertiesWithHistory": []},
        None,
        "2",
        ["2"],
    ],
    ids=str,
)
def test_half_a_row_is_unknown_and_costs_the_others_nothing(row: object) -> None:
    """An empty one would be a student without credits, or a booking that was cancelled."""
    whole = {"id": "1", "properties": {"email": "a@x.org"}}
    responses.post(f"{OBJECTS}/batch/read", json={"results": [row, whole]})
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1", "2"], properties=[], context=asking())

    assert read.found.keys() == {"1"}
    assert read.unknown.keys() == {"2"}


@pytest.mark.parametrize("key", ["cut\ud83d@example.org", "nul\x00@example.org"])
def test_what_no_record_can_hold_is_missing_without_being_asked_for(key: str) -> None:
    with client_of(HUBSPOT) as client:
        read = client.batch.read(
            CONTACTS, [key], properties=[], id_property="email", context=asking()
        )

    assert read.missing == {key}
