"""hubspot-facts.md, "What values really look like": a portal holds anything, the API checks."""

from __future__ import annotations

import json

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub
from tests.sandbox import ControlError

HALF_AN_EMOJI = "Cut\ud83d"
TEXTS = [HALF_AN_EMOJI, "No\x00thing", "\u202eolleh\u200f", "x" * 65_536, "", " "]
NUMBERS = ["1e30", "4165550123", "2.5", "-5", "20.0", "", " 7 ", "1,000", "9" * 20, "9" * 5_000]
STRANGE = [*TEXTS, *NUMBERS, "yes", "nan", "1e999", "0001-01-01", "25:61", "\ud83d\x00"]


@pytest.mark.parametrize(("name", "values"), [("location", TEXTS), ("capacity", NUMBERS)])
def test_a_portal_holds_any_text_in_any_property_to_the_letter(
    hub: Hub, name: str, values: list[str]
) -> None:
    made = [{"type": EXAMS, "properties": {name: each}, "as_is": True} for each in values]
    ids = hub.sandbox.bulk(made)

    for answer in (hub.read(EXAMS, ids, [name]), hub.search(EXAMS, properties=[name], limit=50)):
        held = {each["id"]: each["properties"][name] for each in answer.body["results"]}
        assert [held[each] for each in ids] == values


@pytest.mark.parametrize("name", ["capacity", "exam_date", "is_active", "location"])
def test_search_filters_and_sorts_whatever_is_held(hub: Hub, name: str) -> None:
    hub.sandbox.bulk(
        [{"type": EXAMS, "properties": {name: value}, "as_is": True} for value in STRANGE]
    )

    for operator in ("GT", "EQ", "NEQ", "CONTAINS_TOKEN"):
        filters = [{"propertyName": name, "operator": operator, "value": "5"}]
        asked = {"filterGroups": [{"filters": filters}], "sorts": [{"propertyName": name}]}
        assert hub.search(EXAMS, **asked).status == 200
    assert hub.search(EXAMS, sorts=[{"propertyName": name}]).body["total"] == len(STRANGE)


def test_the_wire_is_ascii_and_half_an_emoji_is_an_escape_in_it(hub: Hub) -> None:
    (booking,) = hub.bookings(1)
    hub.sandbox.poison(BOOKINGS, booking, name=HALF_AN_EMOJI)

    (read,) = hub.read(BOOKINGS, [booking], ["name"]).body["results"]

    assert r"\ud83d" in json.dumps(read)


def test_an_app_may_write_half_an_emoji_too(hub: Hub) -> None:
    (booking,) = hub.bookings(1)
    inputs = [{"id": booking, "properties": {"name": HALF_AN_EMOJI}}]

    assert hub.call("POST", "objects", f"{BOOKINGS}/batch/update", {"inputs": inputs}).status == 200
    (read,) = hub.read(BOOKINGS, [booking], ["name"]).body["results"]
    assert read["properties"]["name"] == HALF_AN_EMOJI


@pytest.mark.parametrize("value", ["1,000", "1_000", "nan", "inf", "\u0661\u0662", "\ud83d"])
def test_the_api_takes_no_such_number_from_an_app(hub: Hub, value: str) -> None:
    answer = hub.create(EXAMS, {"properties": {"capacity": value}})

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert hub.sandbox.records(EXAMS) == []


@pytest.mark.parametrize("value", ["1e30", "2.5", "-5", " 7 ", "9" * 20, ".5"])
def test_the_api_takes_any_true_number_from_an_app(hub: Hub, value: str) -> None:
    assert hub.create(EXAMS, {"properties": {"capacity": value}}).status == 201


@pytest.mark.parametrize(("name", "status"), [("exam_date", 400), ("capacity", 201)])
def test_a_value_of_five_thousand_digits_is_answered(hub: Hub, name: str, status: int) -> None:
    assert hub.create(EXAMS, {"properties": {name: "9" * 5_000}}).status == status
    assert hub.search(EXAMS, after="9" * 5_000).status == 400


def test_an_email_keeps_its_capitals_only_where_it_came_by_no_form(hub: Hub) -> None:
    typed = hub.sandbox.create(CONTACTS, {"email": "Ada@Example.org"})
    (imported,) = hub.sandbox.bulk(
        [{"type": CONTACTS, "properties": {"email": "Bob@Example.org"}, "as_is": True}]
    )

    found = {each["id"]: each["properties"]["email"] for each in hub.sandbox.records(CONTACTS)}
    assert found == {typed: "ada@example.org", imported: "Bob@Example.org"}


def test_what_is_no_text_is_never_a_value(hub: Hub) -> None:
    with pytest.raises(ControlError, match="capacity"):
        hub.sandbox.bulk([{"type": EXAMS, "properties": {"capacity": 5}, "as_is": True}])
