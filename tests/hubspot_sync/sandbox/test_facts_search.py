"""hubspot-facts.md, line by line: what search finds, how late, how far, how often."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot.crm.objects.exceptions import ApiException

from tests.hubspot_sync.sandbox.hub import BOOKINGS, EXAMS, Hub, said


def where(name: str, operator: str, **more: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **more}


def names(answer: Any) -> list[str]:
    return [each["properties"]["name"] for each in answer.body["results"]]


def test_filters_in_a_group_are_anded_and_groups_are_ored(hub: Hub) -> None:
    for name, email in (("Amy", "a@x"), ("Amy", "b@x"), ("Bea", "b@x"), ("Cem", "c@x")):
        hub.sandbox.bulk([{"type": BOOKINGS, "properties": {"name": name, "email": email}}])
    body = {
        "filterGroups": [
            {"filters": [where("name", "EQ", value="Amy"), where("email", "EQ", value="b@x")]},
            {"filters": [where("name", "EQ", value="Cem")]},
        ],
        "properties": ["name", "email"],
    }

    answer = hub.client.crm.objects.search_api.do_search(BOOKINGS, body)

    assert answer.total == 2
    assert {(each.properties["name"], each.properties["email"]) for each in answer.results} == {
        ("Amy", "b@x"),
        ("Cem", "c@x"),
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (where("capacity", "EQ", value="9"), {"9"}),
        (where("capacity", "NEQ", value="9"), {"20", "100"}),
        (where("capacity", "LT", value="20"), {"9"}),
        (where("capacity", "LTE", value="20"), {"9", "20"}),
        (where("capacity", "GT", value="20"), {"100"}),
        (where("capacity", "GTE", value="20"), {"20", "100"}),
        (where("capacity", "BETWEEN", value="10", highValue="100"), {"20", "100"}),
        (where("capacity", "IN", values=["9", "100"]), {"9", "100"}),
        (where("capacity", "NOT_IN", values=["9"]), {"20", "100"}),
        (where("capacity", "HAS_PROPERTY"), {"9", "20", "100"}),
        (where("capacity", "NOT_HAS_PROPERTY"), {None}),
        (where("location", "CONTAINS_TOKEN", value="north"), {"9"}),
        (where("exam_date", "GTE", value="2026-12-01"), {"20", "100"}),
    ],
    ids=lambda given: given["operator"] + given["propertyName"] if isinstance(given, dict) else "",
)
def test_each_operator_compares_as_the_propertys_type_does(
    hub: Hub, given: dict[str, Any], found: set[str | None]
) -> None:
    rows = [
        {"capacity": "9", "location": "London North", "exam_date": "2026-11-30"},
        {"capacity": "20", "location": "Leeds", "exam_date": "2026-12-01"},
        {"capacity": "100", "location": "Northampton", "exam_date": "2027-01-01"},
        {"location": "nowhere"},
    ]
    hub.sandbox.bulk([{"type": EXAMS, "properties": each} for each in rows])

    answer = hub.search(EXAMS, filterGroups=[{"filters": [given]}], properties=["capacity"])

    assert {each["properties"].get("capacity") for each in answer.body["results"]} == found


def test_results_are_sorted_as_asked(hub: Hub) -> None:
    for name in ("Bea", "Amy", "Cem"):
        hub.sandbox.bulk([{"type": BOOKINGS, "properties": {"name": name}}])

    down = hub.search(
        BOOKINGS, sorts=[{"propertyName": "name", "direction": "DESCENDING"}], properties=["name"]
    )
    up = hub.search(
        BOOKINGS, sorts=[{"propertyName": "name", "direction": "ASCENDING"}], properties=["name"]
    )

    assert names(down) == ["Cem", "Bea", "Amy"]
    assert names(up) == ["Amy", "Bea", "Cem"]


@pytest.mark.parametrize(
    ("sizes", "status"),
    [
        ([3] * 5, 200),
        ([1] * 6, 400),
        ([6], 200),
        ([7], 400),
        ([6, 6, 6], 200),
        ([6, 6, 6, 1], 400),
    ],
)
def test_five_groups_six_filters_a_group_and_eighteen_in_all_are_the_most(
    hub: Hub, sizes: list[int], status: int
) -> None:
    groups = [{"filters": [where("name", "EQ", value="Amy")] * size} for size in sizes]

    assert hub.search(BOOKINGS, filterGroups=groups).status == status


def test_a_page_has_at_most_200_results(hub: Hub) -> None:
    hub.bookings(250)

    page = hub.search(BOOKINGS, limit=200)

    assert (len(page.body["results"]), page.body["total"]) == (200, 250)
    assert page.body["paging"]["next"]["after"] == "200"
    assert hub.search(BOOKINGS, limit=201).status == 400


def test_following_after_gives_every_result_once(hub: Hub) -> None:
    ids = hub.bookings(25)
    api, came, after = hub.client.crm.objects.search_api, [], "0"

    while after is not None:
        page = api.do_search(BOOKINGS, {"limit": 10, "after": after})
        came += [each.id for each in page.results]
        after = page.paging.next.after if page.paging is not None else None

    assert came == ids


def test_ten_thousand_results_can_be_paged_through_and_past_them_is_400(hub: Hub) -> None:
    hub.bookings(10_050)

    last = hub.search(BOOKINGS, limit=200, after="9800")
    past = hub.search(BOOKINGS, limit=200, after="10000")

    assert (last.status, len(last.body["results"])) == (200, 200)
    assert (past.status, past.body["category"]) == (400, "VALIDATION_ERROR")


def test_a_record_just_created_is_missing_for_as_long_as_search_lags(hub: Hub) -> None:
    hub.sandbox.configure(search_lag_s=5)
    hub.client.crm.objects.basic_api.create(BOOKINGS, {"properties": {"name": "Amy"}})
    before = hub.search(BOOKINGS).body["total"]

    hub.sandbox.advance(5)

    assert (before, hub.search(BOOKINGS).body["total"]) == (0, 1)


def test_a_record_just_changed_is_found_in_its_old_state(hub: Hub) -> None:
    (booking,) = hub.bookings(1, email="old@example.org")
    hub.sandbox.configure(search_lag_s=5)
    hub.sandbox.edit(BOOKINGS, booking, email="new@example.org")
    old = [{"filters": [where("email", "EQ", value="old@example.org")]}]

    (stale,) = hub.search(BOOKINGS, filterGroups=old, properties=["email"]).body["results"]
    hub.sandbox.advance(5)

    assert stale["properties"]["email"] == "old@example.org"
    assert hub.search(BOOKINGS, filterGroups=old).body["total"] == 0


def test_archived_records_never_appear(hub: Hub) -> None:
    kept, gone = hub.bookings(2)
    hub.sandbox.configure(search_lag_s=60)

    hub.sandbox.archive(BOOKINGS, gone)

    assert [each["id"] for each in hub.search(BOOKINGS).body["results"]] == [kept]


def test_search_answers_carry_no_rate_limit_headers(hub: Hub) -> None:
    headers = hub.search(BOOKINGS).headers

    assert not [name for name in headers if "ratelimit" in name]


def test_five_searches_a_second_for_the_account_the_sixth_is_429_secondly(hub: Hub) -> None:
    statuses = [hub.search(BOOKINGS).status for _ in range(5)]

    with pytest.raises(ApiException) as refused:
        hub.client.crm.objects.search_api.do_search(BOOKINGS, {})
    body = said(refused.value)
    hub.sandbox.advance(1)

    assert statuses == [200] * 5
    assert (refused.value.status, body["policyName"]) == (429, "SECONDLY")
    assert body["errorType"] == "RATE_LIMIT"
    assert not [name for name in refused.value.headers if "ratelimit" in name.lower()]
    assert hub.search(BOOKINGS).status == 200


def test_a_filter_on_a_property_that_does_not_exist_is_400(hub: Hub) -> None:
    groups = [{"filters": [where("nonsense", "EQ", value="1")]}]

    assert hub.search(BOOKINGS, filterGroups=groups).status == 400
