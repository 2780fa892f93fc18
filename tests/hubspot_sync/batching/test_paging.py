"""Cursors are followed to the end, per record where HubSpot pages so."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import responses

from hubspot_sync.batching.paging import SearchFilter, read_association_targets, search_ids
from hubspot_sync.errors import Refused, Unavailable
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, bulk_contacts, client_of
from tests.sandbox import SandboxHandle

HUBSPOT = "https://api.hubapi.com"
SEARCH = f"{HUBSPOT}/crm/objects/2026-09/0-1/search"
ASSOCIATIONS = f"{HUBSPOT}/crm/associations/2026-09/0-1/2-50158943/batch/read"


def linked_contacts(sandbox: SandboxHandle, bookings: dict[str, int]) -> None:
    """Contacts with so many bookings each."""
    records: list[dict[str, Any]] = []
    links = []
    for contact_id, count in bookings.items():
        records.append(
            {"type": CONTACTS, "id": contact_id, "properties": {"email": f"{contact_id}@x.org"}}
        )
        for number in range(count):
            booking_id = f"9{contact_id}{number:04}"
            records.append({"type": BOOKINGS, "id": booking_id, "properties": {}})
            links.append([CONTACTS, contact_id, BOOKINGS, booking_id])
    sandbox.bulk(records, links)


def test_an_exam_with_620_bookings_has_all_of_them(kind_sandbox: SandboxHandle) -> None:
    linked_contacts(kind_sandbox, {"101": 620, "102": 0, "103": 3, "104": 500, "105": 501})
    kind_sandbox.clear_calls()
    ids = ["101", "102", "103", "104", "105"]
    with client_of(kind_sandbox.base_url) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ids, asking())

    counts = {contact_id: len(links) for contact_id, links in read.found.items()}
    assert counts == {"101": 620, "102": 0, "103": 3, "104": 500, "105": 501}
    # The first page of all, and a second one of the two that have one.
    assert [call["inputs"] for call in kind_sandbox.calls()] == [5, 2]


@pytest.mark.parametrize("version", ["2026-09", "legacy"])
def test_ids_are_texts_in_every_version_of_the_api(
    kind_sandbox: SandboxHandle, version: str
) -> None:
    linked_contacts(kind_sandbox, {"101": 1})
    with client_of(kind_sandbox.base_url, api_version=version) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["101"], asking())

    assert read.found == {"101": ("91010000",)}


def test_a_page_that_fails_makes_its_records_unknown_not_half_counted(
    kind_sandbox: SandboxHandle,
) -> None:
    linked_contacts(kind_sandbox, {"101": 620, "103": 3})
    kind_sandbox.fault("status", path="associations", nth=2, status=500)
    with client_of(kind_sandbox.base_url, max_attempts=1) as client:
        read = read_association_targets(
            client.transport, CONTACTS, BOOKINGS, ["101", "103"], asking()
        )

    assert read.found.keys() == {"103"}
    assert isinstance(read.unknown["101"], Unavailable)


def associations_answer(*results: dict[str, Any], errors: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {"status": "COMPLETE", "results": list(results), "errors": list(errors)}


def page(from_id: str, *targets: int, after: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "from": {"id": from_id},
        "to": [{"toObjectId": target, "associationTypes": []} for target in targets],
    }
    return shown if after is None else shown | {"paging": {"next": {"after": after}}}


@responses.activate
def test_pages_that_do_not_advance_are_unknown() -> None:
    responses.post(ASSOCIATIONS, json=associations_answer(page("1", 2, after="x"), page("3", 4)))
    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["1", "3"], asking())

    assert read.unknown.keys() == {"1"}
    assert read.found["3"] == ("4",)
    assert len(responses.calls) == 2


@responses.activate
def test_pages_that_lead_back_to_one_another_are_unknown() -> None:
    for after in ("x", "y", "x"):
        responses.post(ASSOCIATIONS, json=associations_answer(page("1", 2, after=after)))
    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["1"], asking(5))

    assert read.unknown.keys() == {"1"}
    assert len(responses.calls) == 3


@responses.activate
def test_a_record_the_answer_leaves_out_is_unknown() -> None:
    responses.post(ASSOCIATIONS, json=associations_answer(page("1", 2)))
    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["1", "3"], asking())

    assert read.found.keys() == {"1"}
    assert read.unknown.keys() == {"3"}


@responses.activate
@pytest.mark.parametrize(
    "odd",
    [
        {"to": None},
        {},
        {"to": [{"toObjectId": 2}, {"toObjectId": None}]},
        {"to": [{"toObjectId": 2}, {}]},
        {"to": [2]},
        {"to": "2"},
        {"to": [{"toObjectId": 2}], "paging": {"next": {"after": {}}}},
        {"to": [{"toObjectId": 2}], "paging": ["x"]},
    ],
    ids=str,
)
def test_links_that_cannot_be_read_make_their_record_unknown_and_no_other(
    odd: dict[str, Any],
) -> None:
    results = [{"from": {"id": "1"}} | odd, page("3", 4), {"from": None}, {"from": ["1"]}]
    responses.post(ASSOCIATIONS, json={"results": results})
    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["1", "3"], asking())

    assert read.unknown.keys() == {"1"}
    assert read.found == {"3": ("4",)}


@responses.activate
def test_any_error_but_no_associations_is_unknown_even_beside_results() -> None:
    strange = {"category": "OBJECT_NOT_FOUND", "context": {"fromObjectId": ["1"]}, "message": "?"}
    zero = strange | {
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "context": {"fromObjectId": ["3"]},
    }
    body = associations_answer(page("1", 2), errors=(strange, zero))
    responses.post(ASSOCIATIONS, json=body, status=207)
    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["1", "3"], asking())

    assert read.unknown.keys() == {"1"}
    assert read.found == {"3": ()}


def search_page(*ids: str, total: int) -> dict[str, Any]:
    """A page with these rows; where there are more, its cursor says that it ends here."""
    body: dict[str, Any] = {"total": total, "results": [{"id": one} for one in ids]}
    return body if total == len(ids) else body | {"paging": {"next": {"after": str(len(ids))}}}


def test_a_search_brings_every_page(sandbox: SandboxHandle) -> None:
    """Unkind: twenty a page, late, and now and then a 429 or a 5xx."""
    sandbox.bulk(bulk_contacts(90))
    in_first_half = SearchFilter(property_name="email", operator="HAS_PROPERTY")
    with client_of(sandbox.base_url) as client:
        ids = search_ids(client.transport, CONTACTS, [in_first_half], asking(60))

    assert ids == tuple(str(1001 + n) for n in range(90))


def test_more_than_ten_thousand_results_are_all_found(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(10_250))
    kind_sandbox.configure(search_rate=1_000)
    with client_of(kind_sandbox.base_url, searches_per_second=1_000) as client:
        ids = search_ids(client.transport, CONTACTS, [], asking(60))

    assert len(ids) == len(set(ids)) == 10_250


@responses.activate
def test_a_search_asks_for_ids_above_the_last_one() -> None:
    responses.post(SEARCH, json=search_page("7", "9", total=3))
    responses.post(SEARCH, json=search_page("12", total=1))
    active = SearchFilter(property_name="is_active", operator="IN", values=("true", "Active"))
    with client_of(HUBSPOT) as client:
        ids = search_ids(client.transport, CONTACTS, [active], asking())

    filters = orjson.loads(responses.calls[1].request.body)["filterGroups"][0]["filters"]
    assert ids == ("7", "9", "12")
    assert filters == [
        {"propertyName": "is_active", "operator": "IN", "values": ["true", "Active"]},
        {"propertyName": "hs_object_id", "operator": "GT", "value": "9"},
    ]


@responses.activate
def test_a_search_that_does_not_advance_is_an_error() -> None:
    responses.post(SEARCH, json=search_page("7", total=2))
    with client_of(HUBSPOT, max_attempts=1) as client, pytest.raises(Unavailable):
        search_ids(client.transport, CONTACTS, [], asking())

    assert len(responses.calls) == 2


NOT_WHOLE: dict[str, dict[str, Any]] = {
    "no rows of 25": {"total": 25, "results": []},
    "no rows of 25, and a next page": {
        "total": 25,
        "results": [],
        "paging": {"next": {"after": "25"}},
    },
    "too few rows": {"total": 2, "results": [{"id": "7"}]},
    "too few rows, by their own cursor": {
        "total": 300,
        "results": [{"id": "7"}],
        "paging": {"next": {"after": "200"}},
    },
    "rows left over, and no next page": {
        "total": 201,
        "results": [{"id": str(n)} for n in range(1, 201)],
    },
    "too many rows": {"total": 1, "results": [{"id": "7"}, {"id": "9"}]},
    "no total": {"results": [{"id": "7"}]},
    "a total that is text": {"total": "1", "results": [{"id": "7"}]},
    "a total that is true": {"total": True, "results": [{"id": "7"}]},
    "a total below zero": {"total": -1, "results": []},
    "a row without id": {"total": 2, "results": [{"id": "7"}, {"properties": {}}]},
    "a row too many, without id": {"total": 1, "results": [{"id": "7"}, {}]},
    "an id that is none": {"total": 1, "results": [{"id": "x"}]},
    "a row that is no object": {"total": 1, "results": ["7"]},
    "one row twice": {"total": 2, "results": [{"id": "7"}, {"id": "7"}]},
    "rows out of order": {"total": 2, "results": [{"id": "9"}, {"id": "7"}]},
    "a cursor that is a list": {
        "total": 1,
        "results": [{"id": "7"}],
        "paging": {"next": {"after": []}},
    },
    "paging that is text": {"total": 1, "results": [{"id": "7"}], "paging": "x"},
}


@responses.activate
@pytest.mark.parametrize("page", NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_a_page_that_is_not_whole_is_no_answer(page: dict[str, Any]) -> None:
    responses.post(SEARCH, json=page)
    with client_of(HUBSPOT, max_attempts=1) as client, pytest.raises(Unavailable):
        search_ids(client.transport, CONTACTS, [], asking())


@responses.activate
def test_a_page_that_is_not_whole_is_asked_for_again() -> None:
    responses.post(SEARCH, json=search_page("7", total=2))
    responses.post(SEARCH, json={"total": 25, "results": []})
    responses.post(SEARCH, json=search_page("9", total=1))
    with client_of(HUBSPOT) as client:
        ids = search_ids(client.transport, CONTACTS, [], asking())

    assert ids == ("7", "9")
    assert len(responses.calls) == 3


@responses.activate
def test_nothing_found_is_an_answer() -> None:
    responses.post(SEARCH, json={"total": 0, "results": []})
    with client_of(HUBSPOT) as client:
        assert search_ids(client.transport, CONTACTS, [], asking()) == ()

    assert len(responses.calls) == 1


@responses.activate
def test_a_total_that_changed_between_pages_is_read_again_once_and_taken() -> None:
    """The second reading finds one gone, the third is not made."""
    responses.post(SEARCH, json=search_page("7", total=3))
    responses.post(SEARCH, json=search_page("8", total=1))
    responses.post(SEARCH, json=search_page("7", total=3))
    responses.post(SEARCH, json=search_page("9", total=1))
    with client_of(HUBSPOT) as client:
        ids = search_ids(client.transport, CONTACTS, [], asking())

    assert ids == ("7", "9")
    assert len(responses.calls) == 4


@responses.activate
def test_a_next_page_that_turns_out_empty_ends_the_search() -> None:
    responses.post(
        SEARCH,
        json={"total": 1, "results": [{"id": "7"}], "paging": {"next": {"after": "1"}}},
    )
    responses.post(SEARCH, json={"total": 0, "results": [], "paging": {"next": {"after": "1"}}})
    with client_of(HUBSPOT) as client:
        assert search_ids(client.transport, CONTACTS, [], asking()) == ("7",)


def test_a_refused_search_is_raised(kind_sandbox: SandboxHandle) -> None:
    bad = SearchFilter(property_name="email", operator="NONSENSE", value="x")
    with client_of(kind_sandbox.base_url) as client, pytest.raises(Refused):
        search_ids(client.transport, CONTACTS, [bad], asking())


@responses.activate
def test_a_record_left_out_of_a_later_page_is_unknown_not_half_counted() -> None:
    first = {
        "results": [
            {
                "from": {"id": "7"},
                "to": [{"toObjectId": "1"}, {"toObjectId": "2"}],
                "paging": {"next": {"after": "2"}},
            }
        ]
    }
    responses.post(ASSOCIATIONS, json=first)
    responses.post(ASSOCIATIONS, json={"results": []})

    with client_of(HUBSPOT) as client:
        read = read_association_targets(client.transport, CONTACTS, BOOKINGS, ["7"], asking())

    assert (read.found, set(read.unknown)) == ({}, {"7"})
