"""The interface aside: log, reset, snapshots, switches, records edited as a person does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, EXAMS, objects
from tests.sandbox import ControlError, SandboxHandle


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    return kind_sandbox


def test_the_log_tells_each_call_and_nothing_of_the_control(hub: SandboxHandle) -> None:
    hub.config()
    hub.call("POST", objects(CONTACTS, "/batch/read"), {"inputs": [{"id": "1"}, {"id": "2"}]})
    hub.call("GET", objects(CONTACTS, "/1"))

    first, second = hub.calls()

    assert (first["operation"], first["object_type"]) == ("objects.batch_read", CONTACTS)
    assert (first["n"], first["status"], first["inputs"]) == (1, 207, 2)
    assert (second["n"], second["status"], second["method"]) == (2, 404, "GET")
    assert second["at"] >= first["at"] + first["duration_ms"] / 1000 - 0.01
    assert hub.calls(since=1) == [second]
    hub.clear_calls()
    assert hub.calls_count() == 0


def test_a_reset_brings_everything_back_to_the_start(hub: SandboxHandle) -> None:
    hub.bulk([{"type": CONTACTS, "properties": {}}])
    hub.configure(latency_ms=5)
    hub.fault("status")
    hub.call("GET", objects(CONTACTS))

    hub.reset()

    assert hub.records(CONTACTS) == []
    assert (hub.config()["latency_ms"], hub.faults(), hub.calls()) == (0, [], [])


def test_a_reset_may_sow_another_seed_and_portal(hub: SandboxHandle) -> None:
    made = hub.reset(seed="demo", portal="prepdoctors", bookings=200)

    assert made["portal"] == "prepdoctors"
    assert len(hub.records(BOOKINGS)) == 200
    hub.reset()
    assert hub.records(BOOKINGS) == []


def test_a_snapshot_can_be_gone_back_to_more_than_once(hub: SandboxHandle) -> None:
    contact = hub.create(CONTACTS, {"firstname": "Ada"})
    booking = hub.create(BOOKINGS, {"seat_key": "5:1"}, [(CONTACTS, contact)])
    kept = hub.snapshot()

    for _ in range(2):
        hub.edit(CONTACTS, contact, firstname="Changed")
        hub.archive(BOOKINGS, booking)
        hub.create(BOOKINGS, {"seat_key": "5:1"})
        hub.restore_snapshot(kept)

    assert hub.record(CONTACTS, contact)["properties"]["firstname"] == "Ada"
    assert [each["id"] for each in hub.records(BOOKINGS)] == [booking]
    with pytest.raises(ControlError, match="409"):
        hub.create(BOOKINGS, {"seat_key": "5:1"})


def test_what_a_person_does_is_told_as_theirs(hub: SandboxHandle) -> None:
    contact = hub.create(CONTACTS, {"email": "Ada@Example.org"})
    hub.edit(CONTACTS, contact, email="ADA@example.com")

    path = objects(CONTACTS, f"/{contact}?propertiesWithHistory=email")
    history = hub.call("GET", path).body["propertiesWithHistory"]["email"]

    assert [(each["value"], each["sourceType"]) for each in history] == [
        ("ada@example.com", "CRM_UI"),
        ("ada@example.org", "CRM_UI"),
    ]


def test_bulk_keeps_the_ids_it_is_given_and_makes_the_others(hub: SandboxHandle) -> None:
    given, made = hub.bulk(
        [
            {"type": CONTACTS, "id": "501", "properties": {}},
            {"type": BOOKINGS, "properties": {"name": "A"}},
        ]
    )
    hub.bulk(associations=[(CONTACTS, given, BOOKINGS, made)])

    body = {"inputs": [{"id": "501"}]}
    path = f"/crm/associations/2026-09/{CONTACTS}/{BOOKINGS}/batch/read"
    assert hub.call("POST", path, body).body["results"][0]["to"][0]["toObjectId"] == made


def test_bulk_is_found_by_a_search_that_is_late(hub: SandboxHandle) -> None:
    hub.configure(search_lag_s=60)
    hub.bulk([{"type": EXAMS, "properties": {}}])

    assert hub.call("POST", objects(EXAMS, "/search"), {}).body["total"] == 1


@pytest.mark.parametrize(
    "switches",
    [{"no_such": 1}, {"latency_ms": "slow"}, {"unkind": 1}, {"webhook": {"no_such": 1}}],
    ids=str,
)
def test_a_switch_that_does_not_exist_or_fit_is_refused(
    hub: SandboxHandle, switches: dict[str, Any]
) -> None:
    before = hub.config()

    with pytest.raises(ControlError, match="400"):
        hub.configure(**switches)

    assert hub.config() == before


def test_unkindness_makes_pages_small_and_search_late_and_kindness_undoes_it(
    hub: SandboxHandle,
) -> None:
    unkind = hub.configure(unkind=True)
    assert unkind["association_page"] < 500
    assert unkind["search_page_max"] < 200
    assert unkind["search_lag_s"] > 0

    kind = hub.configure(unkind=False)
    assert (kind["association_page"], kind["search_page_max"], kind["search_lag_s"]) == (
        500,
        200,
        0,
    )


def test_the_clock_goes_forward_alone(hub: SandboxHandle) -> None:
    with pytest.raises(ControlError, match="back"):
        hub.advance(-1)


def test_what_is_not_imitated_is_listed(hub: SandboxHandle) -> None:
    listed = hub.call("GET", "/_sandbox/limitations").body["limitations"]

    assert any("423" in each for each in listed)


def test_an_unknown_control_path_says_what_there_is(hub: SandboxHandle) -> None:
    answer = hub.call("GET", "/_sandbox/nothing")

    assert answer.status == 404
    assert "GET /_sandbox/calls" in answer.body["known"]
