"""hubspot-facts.md: answers that are none, the edge's errors, and other types of the same thing."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub
from tests.sandbox import TOKEN, ControlError

GARBLED = {
    "no_body": (b"", "application/json"),
    "cut_json": (b'{"', "application/json"),
    "bad_utf8": (b'{"message": "\xff', "application/json"),
    "null": (b"null", "application/json"),
    "list": (b"[]", "application/json"),
    "text": (b"upstream", "text/plain"),
    "html": (b"<!DOCTYPE html>", "text/html"),
}


def raw_answer(hub: Hub, method: str, operation: str, rest: str) -> tuple[int, str, bytes]:
    """The status, the type and the bytes of an answer that need not be JSON."""
    address = urlsplit(hub.sandbox.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = "{}" if method == "POST" else None
    connection.request(method, hub.path(operation, rest), body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers.get_content_type(), content


def search(hub: Hub, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = hub.search(BOOKINGS, limit=2, **more).body
    return body


@pytest.mark.parametrize(("how", "wanted"), GARBLED.items(), ids=GARBLED)
def test_a_200_may_be_no_json_of_ours(hub: Hub, how: str, wanted: tuple[bytes, str]) -> None:
    hub.sandbox.fault("spoil", how=how)

    for method, operation, rest in (
        ("POST", "objects", f"{BOOKINGS}/search"),
        ("GET", "objects", EXAMS),
        ("GET", "associations", f"{BOOKINGS}/{CONTACTS}/labels"),
    ):
        status, kind, content = raw_answer(hub, method, operation, rest)
        assert (status, kind) == (200, wanted[1])
        assert content.startswith(wanted[0])
        assert len(content) > 0 or how == "no_body"


def test_a_search_may_say_that_there_are_25_and_show_none(hub: Hub) -> None:
    hub.bookings(25)
    hub.sandbox.fault("spoil", how="no_rows", path="/search", times=1)

    assert (search(hub)["total"], search(hub)["total"]) == (25, 25)
    hub.sandbox.fault("spoil", how="no_rows", path="/search")
    assert search(hub)["results"] == []


@pytest.mark.parametrize(
    ("how", "name"), [("no_results", "results"), ("no_total", "total"), ("no_paging", "paging")]
)
def test_a_search_may_lack_what_it_always_has(hub: Hub, how: str, name: str) -> None:
    hub.bookings(5)
    whole = search(hub)
    hub.sandbox.fault("spoil", how=how)

    assert search(hub).keys() == whole.keys() - {name}


def test_a_search_may_have_null_where_its_rows_or_their_list_should_be(hub: Hub) -> None:
    hub.bookings(5)
    hub.sandbox.fault("spoil", how="null_results", nth=1)
    hub.sandbox.fault("spoil", how="null_rows")

    assert search(hub)["results"] is None
    assert search(hub)["results"] == [None, None]


def test_a_search_may_bring_fewer_rows_than_a_page_has(hub: Hub) -> None:
    hub.bookings(5)
    hub.sandbox.fault("spoil", how="fewer_rows", last=1)

    page = search(hub)

    assert (page["total"], len(page["results"]), page["paging"]["next"]["after"]) == (5, 1, "2")


def test_a_searchs_rows_may_have_no_ids(hub: Hub) -> None:
    hub.bookings(2)
    hub.sandbox.fault("spoil", how="rows_without_ids")

    assert all("id" not in row for row in search(hub)["results"])
    assert all("hs_object_id" not in row["properties"] for row in search(hub)["results"])


def test_a_searchs_total_may_change_from_page_to_page(hub: Hub) -> None:
    hub.bookings(5)
    hub.sandbox.fault("spoil", how="changed_total", nth=2, by=-2)

    assert [search(hub, after=after)["total"] for after in ("0", "2", "4")] == [5, 3, 5]


def test_a_spoilt_write_has_had_its_effect(hub: Hub) -> None:
    hub.sandbox.fault("spoil", how="no_body", path="batch/create")

    answer = hub.create(BOOKINGS, {"properties": {"name": "A"}})

    assert (answer.status, answer.body) == (201, None)
    assert len(hub.sandbox.records(BOOKINGS)) == 1


def test_a_refusal_is_spoilt_no_further(hub: Hub) -> None:
    hub.sandbox.fault("spoil", how="no_body")

    assert hub.search(BOOKINGS, limit=0).body["category"] == "VALIDATION_ERROR"


def test_a_sub_category_is_a_text_on_the_wire_and_may_be_an_object(hub: Hub) -> None:
    ids = hub.bookings(1)
    asked = [{"id": each} for each in ids]
    name = "crm.associations.NO_ASSOCIATIONS_FOUND"
    (plain,) = hub.associated(BOOKINGS, CONTACTS, *asked).body["errors"]
    hub.sandbox.fault("spoil", how="sub_categories_as_objects")
    (other,) = hub.associated(BOOKINGS, CONTACTS, *asked).body["errors"]

    assert (plain["subCategory"], other["subCategory"]) == (name, {"name": name})


@pytest.mark.parametrize(("how", "kind"), [("ids_as_numbers", int), ("ids_as_texts", str)])
def test_ids_may_be_numbers_or_texts(hub: Hub, how: str, kind: type) -> None:
    (booking,) = hub.bookings(1)
    contact = hub.sandbox.create(CONTACTS, {}, [(BOOKINGS, booking)])
    hub.sandbox.fault("spoil", how=how)

    (read,) = hub.read(BOOKINGS, [booking]).body["results"]
    (linked,) = hub.associated(BOOKINGS, CONTACTS, {"id": booking}).body["results"]

    assert read["id"] == kind(booking)
    assert linked["from"]["id"] == kind(booking)
    assert linked["to"][0]["toObjectId"] == kind(contact)


@pytest.mark.parametrize("status", [520, 521, 522, 523, 524, 525, 530])
def test_the_edge_answers_with_a_page_of_its_own(hub: Hub, status: int) -> None:
    hub.sandbox.fault("status", status=status, times=1)

    answered, kind, page = raw_answer(hub, "GET", "objects", BOOKINGS)

    assert (answered, kind) == (status, "text/html")
    assert f"| {status}: ".encode() in page
    assert raw_answer(hub, "GET", "objects", BOOKINGS)[0] == 200


def test_a_daily_limit_may_be_ordered_with_a_wait_and_without(hub: Hub) -> None:
    order = {"status": 429, "policy": "DAILY"}
    hub.sandbox.fault("status", **order, nth=1)
    hub.sandbox.fault("status", **order, headers={"Retry-After": "5400"})

    bare, told = (hub.call("GET", "objects", BOOKINGS) for _ in range(2))

    assert [each.body["policyName"] for each in (bare, told)] == ["DAILY", "DAILY"]
    assert bare.body["message"] == "You have reached your daily limit."
    assert [each.headers.get("retry-after") for each in (bare, told)] == [None, "5400"]


@pytest.mark.parametrize(("switch", "sent"), [("always", True), ("never", False)])
def test_a_reached_limit_may_always_or_never_say_how_long(
    hub: Hub, switch: str, sent: bool
) -> None:
    hub.sandbox.configure(daily_limit=0, retry_after=switch)

    answers = [hub.call("GET", "objects", BOOKINGS) for _ in range(3)]

    assert {each.body["policyName"] for each in answers} == {"DAILY"}
    assert {"retry-after" in each.headers for each in answers} == {sent}
    assert all(0 < int(each.headers.get("retry-after", 1)) <= 86_400 for each in answers)


@pytest.mark.parametrize(
    "order",
    [
        {"action": "spoil"},
        {"action": "spoil", "how": "well"},
        {"action": "status", "status": 429, "policy": "HOURLY"},
    ],
)
def test_an_order_nobody_knows_is_refused_with_what_there_is(
    hub: Hub, order: dict[str, Any]
) -> None:
    with pytest.raises(ControlError, match="is one of"):
        hub.sandbox.fault(**order)


def test_a_switch_takes_no_word_it_does_not_know(hub: Hub) -> None:
    with pytest.raises(ControlError, match="sometimes, always, never"):
        hub.sandbox.configure(retry_after="later")
