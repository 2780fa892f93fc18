"""Many callers, one call: nobody waits without need, or gets an older answer or another's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hubspot_sync.errors import Refused, Unavailable
from hubspot_sync.wire.call_log import CallMeter
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, client_of
from tests.hubspot_sync.stage import PATIENCE_S, raised_stage
from tests.sandbox import SandboxHandle


def test_a_lone_caller_waits_for_nobody() -> None:
    with raised_stage() as stage:
        stage.answer()
        stage.enter("alice", ["1"])
        stage.wait_for_call()

    assert stage.results["alice"].found.keys() == {"1"}
    assert stage.calls == 1


def test_callers_that_come_while_a_call_is_under_way_share_the_next() -> None:
    meters = {name: CallMeter() for name in "abcde"}
    with raised_stage() as stage:
        stage.enter("a", ["1"], meters=[meters["a"]])
        stage.wait_for_call()
        for name, ids in {"b": ["2"], "c": ["2", "3"], "d": ["4"], "e": ["3"]}.items():
            stage.enter(name, ids, meters=[meters[name]])
        stage.answer(2)

    assert stage.calls == 2
    assert stage.asked(1) == ["1"]
    assert sorted(stage.asked(2)) == ["2", "3", "4"]
    assert stage.results["c"].found.keys() == {"2", "3"}
    assert stage.results["e"].found.keys() == {"3"}
    assert all(meter.calls == 1 for meter in meters.values())


def test_nobody_joins_a_call_that_was_already_sent() -> None:
    with raised_stage() as stage:
        stage.enter("early", ["1"])
        stage.wait_for_call()
        stage.enter("late", ["1"])
        stage.answer(2)

    assert stage.results["early"].found["1"].properties["call"] == "1"
    assert stage.results["late"].found["1"].properties["call"] == "2"


def test_different_questions_do_not_wait_for_one_another() -> None:
    with raised_stage() as stage:
        stage.enter("names", ["1"], properties=["firstname"])
        stage.wait_for_call()
        stage.enter("emails", ["1"], properties=["email"])
        stage.wait_for_call()
        stage.answer(2)

    assert stage.calls == 2


def test_a_full_request_leaves_at_once() -> None:
    with raised_stage() as stage:
        stage.enter("alice", ["1"])
        stage.wait_for_call()
        stage.enter("bob", [str(n) for n in range(100, 160)])
        stage.enter("carol", [str(n) for n in range(200, 240)])
        stage.wait_for_call()
        stage.answer(2)

    assert len(stage.asked(2)) == 100


def test_a_caller_out_of_time_leaves_alone_and_the_others_are_served() -> None:
    with raised_stage() as stage:
        stage.enter("first", ["1"])
        stage.wait_for_call()
        stage.enter("hasty", ["2"], seconds=0.1)
        stage.enter("patient", ["3"])
        stage.threads[1].join(PATIENCE_S)
        stage.answer(2)

    assert isinstance(stage.results["hasty"].unknown["2"], Unavailable)
    assert stage.results["patient"].found.keys() == {"3"}
    assert stage.asked(2) == ["3"]


def test_one_who_can_wait_long_does_not_hold_one_who_cannot() -> None:
    with raised_stage() as stage:
        stage.enter("first", ["1"])
        stage.wait_for_call()
        stage.enter("hasty", ["2"], seconds=1.0)
        stage.enter("patient", ["3"])
        stage.answer()
        stage.wait_for_call()
        stage.threads[1].join(PATIENCE_S)
        assert isinstance(stage.results["hasty"].unknown["2"], Unavailable)
        assert "patient" not in stage.results
        stage.answer()

    assert stage.results["patient"].found.keys() == {"3"}


def test_one_callers_bad_id_does_not_spoil_the_others() -> None:
    with raised_stage() as stage:
        stage.enter("first", ["1"])
        stage.wait_for_call()
        stage.enter("alice", ["2"])
        stage.enter("mallory", ["666"])
        stage.answer(4)

    assert stage.results["alice"].found.keys() == {"2"}
    assert isinstance(stage.results["mallory"].unknown["666"], Refused)


def test_one_callers_many_bad_ids_do_not_either() -> None:
    """So many refused, and nobody accepted, that the shared call gives up before alice's turn."""
    with raised_stage() as stage:
        stage.enter("first", ["1"])
        stage.wait_for_call()
        stage.enter("mallory", [f"666{n}" for n in range(10)])
        stage.enter("alice", ["2"])
        stage.answer(60)

    assert stage.results["alice"].found.keys() == {"2"}
    assert len(stage.results["mallory"].unknown) == 10


def test_a_shared_call_that_fails_is_unknown_to_each_of_its_callers(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.fault("status", path="batch/read", status=500)
    with client_of(kind_sandbox.base_url, max_attempts=1) as client:
        read = client.coalescer.read(CONTACTS, ["1", "2"], properties=[], context=asking())

    assert read.unknown.keys() == {"1", "2"}


def test_a_person_never_shares_a_call_with_background_work() -> None:
    """Background calls wait for people, so they may be under way for long."""
    with raised_stage() as stage:
        stage.enter("recount", ["1"], background=True)
        stage.wait_for_call()
        stage.enter("second recount", ["1"], background=True)
        stage.enter("alice", ["1"])
        stage.wait_for_call()
        stage.answer(3)

    assert stage.results["alice"].found["1"].properties["call"] == "2"
    assert stage.calls == 3


def test_a_call_that_takes_overly_long_does_not_hold_up_those_who_came_after_it() -> None:
    with raised_stage(max_wait_behind_s=2.0) as stage:
        stage.enter("stuck", ["1"])
        stage.wait_for_call()
        stage.enter("alice", ["2"])
        stage.enter("bob", ["3"])
        stage.wait_for_call()
        stage.answer(2)

    assert sorted(stage.asked(2)) == ["2", "3"]


@pytest.mark.parametrize("readers", [60])
def test_many_at_once_get_each_their_own_in_few_calls(sandbox: SandboxHandle, readers: int) -> None:
    """Unkind: pages of 25, now and then a 429 or a 5xx. And far away: who comes late on a busy
    machine still finds a call to wait for."""
    records: list[dict[str, Any]] = []
    links = []
    for number in range(readers):
        records.append({"type": CONTACTS, "id": str(1 + number), "properties": {}})
        for place in range(number % 40):
            booking_id = str(1_000 + number * 40 + place)
            records.append({"type": BOOKINGS, "id": booking_id, "properties": {}})
            links.append([CONTACTS, str(1 + number), BOOKINGS, booking_id])
    sandbox.bulk(records, links)
    sandbox.configure(latency_ms=200)
    sandbox.clear_calls()
    start = threading.Barrier(readers)
    counts: dict[int, int] = {}

    with client_of(sandbox.base_url) as client:

        def ask(number: int) -> None:
            start.wait(PATIENCE_S)
            own = str(1 + number)
            read = client.coalescer.read_associations(CONTACTS, BOOKINGS, [own], context=asking(60))
            counts[number] = len(read.require_complete().found[own])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert counts == {number: number % 40 for number in range(readers)}
    assert sandbox.calls_count() < readers / 2
