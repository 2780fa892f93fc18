"""hubspot-facts.md, line by line: rate limits counted on arrival, their bodies and headers, 423s,
5xx, and what describes a portal (properties, schemas, tokens)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hubspot.crm.objects.exceptions import ApiException, ServiceException

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub, said
from tests.sandbox import Answer


def ask(hub: Hub, _number: int = 0) -> Answer:
    return hub.call("GET", "objects", BOOKINGS)


def test_190_requests_in_ten_seconds_are_answered_and_the_next_is_429(hub: Hub) -> None:
    assert [ask(hub).status for _ in range(190)] == [200] * 190

    refused = ask(hub)

    assert refused.status == 429
    body = refused.body
    assert (body["status"], body["errorType"]) == ("error", "RATE_LIMIT")
    assert body["policyName"] == "TEN_SECONDLY_ROLLING"
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert body["correlationId"]
    assert body["requestId"]


def test_the_window_rolls(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=4)
    ask(hub)
    ask(hub)
    hub.sandbox.advance(6)
    ask(hub)
    ask(hub)
    full = ask(hub).status
    hub.sandbox.advance(4)

    # The first two have left the window, the last two have not.
    assert full == 429
    assert [ask(hub).status for _ in range(3)] == [200, 200, 429]


def test_a_batch_call_counts_as_one(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=2)
    ids = hub.bookings(100)

    assert [hub.read(BOOKINGS, ids).status for _ in range(3)] == [200, 200, 429]


def test_the_official_client_raises_a_429_with_the_policys_name(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=1)
    ask(hub)

    with pytest.raises(ApiException) as refused:
        hub.client.crm.objects.basic_api.get_page(BOOKINGS)

    assert refused.value.status == 429
    assert said(refused.value)["policyName"] == "TEN_SECONDLY_ROLLING"


def test_the_daily_cap_is_429_daily(hub: Hub) -> None:
    hub.sandbox.configure(daily_limit=2)
    statuses = [ask(hub).status for _ in range(2)]
    refused = ask(hub)
    hub.sandbox.advance(24 * 3600)

    assert statuses == [200, 200]
    assert (refused.status, refused.body["policyName"]) == (429, "DAILY")
    assert ask(hub).status == 200


def test_retry_after_is_not_always_sent(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=1)
    ask(hub)

    sent = ["retry-after" in ask(hub).headers for _ in range(4)]

    assert True in sent
    assert False in sent


def test_ordinary_answers_carry_what_is_left(hub: Hub) -> None:
    first, second = ask(hub).headers, ask(hub).headers

    assert first["x-hubspot-ratelimit-max"] == "190"
    assert first["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert first["x-hubspot-ratelimit-daily"] == "650000"
    for name in ("x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-daily-remaining"):
        assert int(first[name]) - int(second[name]) == 1


def test_search_and_other_calls_are_counted_apart(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=1, search_rate=1)

    assert (ask(hub).status, ask(hub).status) == (200, 429)
    # Of so many one after the other, some are less than a second after the one before.
    statuses = [hub.search(BOOKINGS).status for _ in range(20)]
    assert (statuses[0], 429 in statuses) == (200, True)


def test_requests_are_counted_as_they_arrive_not_as_they_are_answered(hub: Hub) -> None:
    hub.sandbox.configure(rate_limit=5)
    hub.sandbox.fault("delay", delay_ms=300)
    together = threading.Barrier(8)

    def ask_at_once(number: int) -> int:
        together.wait(30)
        return ask(hub, number).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask_at_once, range(8)))

    assert sorted(statuses) == [200] * 5 + [429] * 3


def test_a_locked_record_is_423(hub: Hub) -> None:
    hub.sandbox.fault("status", status=423, path="batch/update", times=1)
    inputs = [{"id": each, "properties": {"name": "Amy"}} for each in hub.bookings(1)]

    with pytest.raises(ApiException) as locked:
        hub.client.crm.objects.batch_api.update(BOOKINGS, {"inputs": inputs})

    assert locked.value.status == 423


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_now_and_then_is_the_official_clients_service_exception(
    hub: Hub, status: int
) -> None:
    hub.sandbox.fault("status", status=status, times=1)

    with pytest.raises(ServiceException) as failed:
        hub.client.crm.objects.basic_api.get_page(BOOKINGS)

    assert failed.value.status == status
    assert ask(hub).status == 200


def test_a_portals_properties_say_their_type_and_whether_they_are_unique(hub: Hub) -> None:
    listed = {
        each.name: each for each in hub.client.crm.properties.core_api.get_all(BOOKINGS).results
    }

    assert (listed["idempotency_key"].type, listed["idempotency_key"].has_unique_value) == (
        "string",
        True,
    )
    assert (listed["is_active"].type, listed["name"].has_unique_value) == ("bool", False)


def test_a_portals_schemas_name_its_custom_objects_by_type_id(hub: Hub) -> None:
    schemas = hub.client.crm.schemas.core_api.get_all().results

    assert {each.object_type_id: each.name for each in schemas} == {
        BOOKINGS: "bookings",
        EXAMS: "mock_exams",
    }
    assert all(each.fully_qualified_name.startswith("p") for each in schemas)


def test_a_service_key_is_sent_in_the_same_header(hub: Hub) -> None:
    hub.sandbox.configure(token="service-key")

    client = hub.official("service-key")

    assert client.crm.objects.basic_api.get_page(CONTACTS).results == []
