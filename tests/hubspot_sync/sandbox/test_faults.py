"""Faults on order, and unkindness: which calls they meet and what is done or not done then."""

from __future__ import annotations

import http.client
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hubspot_sync.sandbox.http.faults import CALM_AFTER, Faults
from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, objects, pairs
from tests.sandbox import Answer, ControlError, SandboxHandle
from tests.waiting import eventually

CREATE = objects(BOOKINGS, "/batch/create")


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    return kind_sandbox


def create(hub: SandboxHandle, *names: str) -> Answer:
    inputs = [{"properties": {"name": each}, "objectWriteTraceId": each} for each in names]
    return hub.call("POST", CREATE, {"inputs": inputs})


def get(hub: SandboxHandle) -> int:
    return hub.call("GET", objects(CONTACTS)).status


def made(hub: SandboxHandle) -> list[str]:
    return [each["properties"]["name"] for each in hub.records(BOOKINGS)]


@pytest.mark.parametrize(("action", "left"), [("cut_before", []), ("cut_after", ["A"])])
def test_a_cut_closes_unanswered_before_or_after_the_effect(
    hub: SandboxHandle, action: str, left: list[str]
) -> None:
    hub.fault(action, path="batch/create")

    with pytest.raises(http.client.RemoteDisconnected):
        create(hub, "A")

    assert made(hub) == left
    assert [each["status"] for each in hub.calls()] == [0]


def test_a_held_call_is_cut_at_once_and_has_its_effect_when_its_order_is_dropped(
    hub: SandboxHandle,
) -> None:
    held = hub.fault("hold", path="batch/create", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        create(hub, "A")
    assert create(hub, "B").status == 201
    assert made(hub) == ["B"]

    hub.clear_faults(held)

    assert made(hub) == ["B", "A"]
    hub.fault("hold", path="batch/create", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        create(hub, "C")
    hub.reset()
    hub.clear_faults()
    assert made(hub) == []


def test_a_status_is_answered_instead_of_the_work(hub: SandboxHandle) -> None:
    hub.fault("status", status=502, body={"oh": "no"}, headers={"Retry-After": "7"})

    answer = create(hub, "A")

    assert (answer.status, answer.body, answer.headers["retry-after"]) == (502, {"oh": "no"}, "7")
    assert made(hub) == []


@pytest.mark.parametrize(
    ("status", "category"), [(423, "LOCKED"), (403, "MISSING_SCOPES"), (500, "INTERNAL_ERROR")]
)
def test_a_status_has_hubspots_words_where_none_are_given(
    hub: SandboxHandle, status: int, category: str
) -> None:
    hub.fault("status", status=status)

    assert create(hub, "A").body["category"] == category


def test_a_429_on_order_looks_like_the_real_one(hub: SandboxHandle) -> None:
    hub.fault("status", status=429)

    assert create(hub, "A").body["policyName"] == "TEN_SECONDLY_ROLLING"


def test_a_partial_create_says_which_inputs_were_not_done(hub: SandboxHandle) -> None:
    hub.fault("partial", last=2)

    answer = create(hub, "A", "B", "C")

    assert (answer.status, made(hub)) == (207, ["A"])
    failed = [each["context"]["objectWriteTraceId"] for each in answer.body["errors"]]
    assert failed == [["B"], ["C"]]
    assert [each["objectWriteTraceId"] for each in answer.body["results"]] == ["A"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (objects(BOOKINGS, "/batch/read"), "ids"),
        (pairs(BOOKINGS, CONTACTS, "/batch/read"), "fromObjectId"),
    ],
)
def test_a_partial_read_names_what_is_unknown(hub: SandboxHandle, path: str, key: str) -> None:
    hub.bulk([{"type": BOOKINGS, "id": each, "properties": {}} for each in ("1", "2")])
    hub.fault("partial", last=1)

    answer = hub.call("POST", path, {"inputs": [{"id": "1"}, {"id": "2"}]})

    unknown = [each for each in answer.body["errors"] if each["category"] == "INTERNAL_ERROR"]
    assert [each["context"] for each in unknown] == [{key: ["2"]}]


def test_a_partial_archive_leaves_the_last_alone(hub: SandboxHandle) -> None:
    hub.bulk([{"type": BOOKINGS, "id": each, "properties": {}} for each in ("1", "2")])
    hub.fault("partial", last=1)

    body = {"inputs": [{"id": "1"}, {"id": "2"}]}
    answer = hub.call("POST", objects(BOOKINGS, "/batch/archive"), body)

    assert (answer.status, [each["archived"] for each in hub.records(BOOKINGS)]) == (
        207,
        [True, False],
    )


@pytest.mark.parametrize(
    ("order", "statuses"),
    [
        ({"nth": 2}, [200, 500, 200, 200]),
        ({"nth": [1, 3]}, [500, 200, 500, 200]),
        ({"times": 2}, [500, 500, 200, 200]),
        ({"method": "POST"}, [200, 200, 200, 200]),
        ({"method": "get", "path": "/0-1$"}, [500, 500, 500, 500]),
        ({"path": "0-46"}, [200, 200, 200, 200]),
        ({"probability": 0.0}, [200, 200, 200, 200]),
    ],
    ids=str,
)
def test_a_fault_meets_the_calls_it_was_ordered_for(
    hub: SandboxHandle, order: dict[str, Any], statuses: list[int]
) -> None:
    hub.fault("status", status=500, **order)

    assert [get(hub) for _ in range(4)] == statuses


def test_faults_are_listed_and_dropped(hub: SandboxHandle) -> None:
    first = hub.fault("status", times=1)
    hub.fault("delay", delay_ms=1)
    get(hub)
    assert [(each["action"], each["fired"]) for each in hub.faults()] == [
        ("status", 1),
        ("delay", 0),
    ]

    hub.clear_faults(first)
    assert [each["action"] for each in hub.faults()] == ["delay"]
    hub.clear_faults()
    assert hub.faults() == []


def test_a_delay_is_added_to_the_answer(hub: SandboxHandle) -> None:
    hub.fault("delay", delay_ms=60)

    assert get(hub) == 200
    assert hub.calls()[0]["duration_ms"] >= 60


def test_a_delay_ends_when_its_order_is_dropped(hub: SandboxHandle) -> None:
    ordered = hub.fault("delay", delay_ms=100_000)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(get, hub)
        eventually(lambda: hub.faults()[0]["fired"] == 1)
        hub.clear_faults(ordered)

        assert held.result() == 200


@pytest.mark.parametrize(
    "order", [{"action": "explode"}, {"action": "status", "path": "("}, {"action": "delay", "x": 1}]
)
def test_an_order_that_cannot_be_is_refused(hub: SandboxHandle, order: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="400"):
        hub.fault(**order)

    assert hub.faults() == []


def test_unkindness_refuses_reads_with_anything_and_writes_with_429_alone() -> None:
    faults = Faults(seed=3)

    reads = {reply.status for _ in range(9000) if (reply := faults.pick_unkindness("objects.read"))}
    writes = {
        reply.status
        for _ in range(9000)
        if (reply := faults.pick_unkindness("objects.batch_create"))
    }

    assert reads == {429, 500, 502, 503, 504}
    assert writes == {429}


def test_one_retry_helps_against_unkindness() -> None:
    faults = Faults(seed=4)

    refused = [faults.pick_unkindness("objects.search") is not None for _ in range(9000)]

    places = [place for place, each in enumerate(refused) if each]
    assert len(places) > 50
    assert min(after - before for before, after in itertools.pairwise(places)) >= (CALM_AFTER)


def test_an_unkind_sandbox_refuses_some_calls_and_answers_the_rest(sandbox: SandboxHandle) -> None:
    sandbox.configure(rate_limit=100_000)

    statuses = [get(sandbox) for _ in range(300)]

    assert 200 in statuses
    assert set(statuses) - {200} <= {429, 500, 502, 503, 504}
    assert len(set(statuses)) > 1
