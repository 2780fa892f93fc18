"""The object endpoints: what they refuse whole, what in part, what they leave behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, EXAMS, V, linked, objects
from tests.sandbox import Answer, SandboxHandle

BOOKING_TO_CONTACT = 15


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    return kind_sandbox


def batch(
    hub: SandboxHandle, action: str, *inputs: Any, type_: str = BOOKINGS, **more: Any
) -> Answer:
    body = {"inputs": list(inputs), **more}
    return hub.call("POST", objects(type_, f"/batch/{action}"), body)


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"properties": {"name": name}, **more}


def names(hub: SandboxHandle) -> set[str]:
    return {each["properties"]["name"] for each in hub.records(BOOKINGS) if not each["archived"]}


@pytest.mark.parametrize("action", ["read", "create", "update", "upsert", "archive"])
def test_a_batch_of_101_is_refused_whole(hub: SandboxHandle, action: str) -> None:
    answer = batch(hub, action, *({"id": str(n), "properties": {}} for n in range(101)))

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert hub.records(BOOKINGS) == []


def test_a_read_with_history_takes_fifty_and_no_more(hub: SandboxHandle) -> None:
    inputs = [{"id": str(n)} for n in range(1, 52)]

    assert batch(hub, "read", *inputs, propertiesWithHistory=["name"]).status == 400
    assert batch(hub, "read", *inputs[:50], propertiesWithHistory=["name"]).status == 207


@pytest.mark.parametrize("action", ["read", "update", "archive"])
def test_an_id_given_twice_refuses_the_batch(hub: SandboxHandle, action: str) -> None:
    (booking,) = hub.bulk([{"type": BOOKINGS, "properties": {"name": "A"}}])

    answer = batch(hub, action, *[{"id": booking, "properties": {"name": "B"}}] * 2)

    assert answer.status == 400
    assert answer.body["message"] == (
        f"Duplicate IDs found in batch input: [{booking}]. IDs must be unique"
    )
    assert names(hub) == {"A"}


def test_results_do_not_come_in_the_order_of_the_inputs(hub: SandboxHandle) -> None:
    ids = hub.bulk([{"type": BOOKINGS, "properties": {}} for _ in range(3)])

    answer = batch(hub, "read", *({"id": each} for each in ids))

    found = [each["id"] for each in answer.body["results"]]
    assert sorted(found) == sorted(ids)
    assert found != ids


def test_a_contact_is_found_by_its_email_however_it_is_written(hub: SandboxHandle) -> None:
    (contact,) = hub.bulk([{"type": CONTACTS, "properties": {"email": "Ada@Example.org"}}])

    inputs = [{"id": "ADA@example.org"}, {"id": "nobody@example.org"}]
    answer = batch(hub, "read", *inputs, type_=CONTACTS, idProperty="email", properties=["email"])

    assert [each["id"] for each in answer.body["results"]] == [contact]
    assert answer.body["results"][0]["properties"]["email"] == "ada@example.org"
    assert answer.body["errors"][0]["context"]["ids"] == ["nobody@example.org"]


def test_a_property_that_is_not_unique_finds_nobody(hub: SandboxHandle) -> None:
    answer = batch(hub, "read", {"id": "A"}, idProperty="name")

    assert answer.status == 400


def test_a_create_with_one_wrong_input_makes_nothing(hub: SandboxHandle) -> None:
    answer = batch(hub, "create", named("A"), {"properties": {"no_such": "1"}})

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert hub.records(BOOKINGS) == []


def test_a_create_traced_throughout_makes_what_it_can(hub: SandboxHandle) -> None:
    wrong = {"properties": {"no_such": "1"}, "objectWriteTraceId": "t2"}

    answer = batch(hub, "create", named("A", objectWriteTraceId="t1"), wrong)

    assert answer.status == 207
    assert [each["objectWriteTraceId"] for each in answer.body["results"]] == ["t1"]
    assert answer.body["errors"][0]["context"]["objectWriteTraceId"] == ["t2"]
    assert names(hub) == {"A"}


def test_a_create_traced_in_part_makes_nothing(hub: SandboxHandle) -> None:
    answer = batch(
        hub, "create", named("A", objectWriteTraceId="t1"), {"properties": {"no_such": "1"}}
    )

    assert (answer.status, hub.records(BOOKINGS)) == (400, [])


def test_a_unique_value_taken_refuses_the_whole_create_traced_or_not(hub: SandboxHandle) -> None:
    hub.bulk([{"type": BOOKINGS, "properties": {"name": "A", "idempotency_key": "k1"}}])
    inputs = [
        {"properties": {"name": key, "idempotency_key": key}, "objectWriteTraceId": key}
        for key in ("k0", "k1")
    ]

    answer = batch(hub, "create", *inputs)

    assert (answer.status, names(hub)) == (409, {"A"})


def test_two_inputs_with_one_unique_value_refuse_each_other(hub: SandboxHandle) -> None:
    twin = {"properties": {"seat_key": "5:1"}}

    assert batch(hub, "create", twin, twin).status == 409
    assert hub.records(BOOKINGS) == []


@pytest.mark.parametrize("freed", ["cleared", "archived"])
def test_a_unique_value_is_free_again(hub: SandboxHandle, freed: str) -> None:
    (first,) = hub.bulk([{"type": BOOKINGS, "properties": {"seat_key": "5:1"}}])
    if freed == "cleared":
        batch(hub, "update", {"id": first, "properties": {"seat_key": ""}})
    else:
        hub.archive(BOOKINGS, first)

    assert batch(hub, "create", {"properties": {"seat_key": "5:1"}}).status == 201


def test_an_update_to_a_taken_unique_value_writes_none_of_the_batch(hub: SandboxHandle) -> None:
    first, second = hub.bulk(
        {"type": BOOKINGS, "properties": {"name": key, "seat_key": key}} for key in ("A", "B")
    )
    inputs = [
        {"id": first, "properties": {"name": "changed"}},
        {"id": second, "properties": {"seat_key": "A"}},
    ]

    assert (batch(hub, "update", *inputs).status, names(hub)) == (409, {"A", "B"})


def test_an_update_names_the_ids_that_do_not_exist(hub: SandboxHandle) -> None:
    (booking,) = hub.bulk([{"type": BOOKINGS, "properties": {"name": "A"}}])

    answer = batch(hub, "update", {"id": booking, **named("B")}, {"id": "404", **named("C")})

    assert (answer.status, answer.body["errors"][0]["context"]) == (207, {"ids": ["404"]})
    assert names(hub) == {"B"}


def test_an_upsert_says_which_were_new(hub: SandboxHandle) -> None:
    hub.bulk([{"type": BOOKINGS, "properties": {"idempotency_key": "k1", "name": "A"}}])
    inputs = [{"idProperty": "idempotency_key", "id": key, **named(key)} for key in ("k1", "k2")]

    answer = batch(hub, "upsert", *inputs)

    new = {each["properties"]["name"]: each["new"] for each in answer.body["results"]}
    assert (answer.status, new, names(hub)) == (200, {"k1": False, "k2": True}, {"k1", "k2"})


def test_a_create_links_inline_and_shows_from_both_sides(hub: SandboxHandle) -> None:
    (contact,) = hub.bulk([{"type": CONTACTS, "properties": {"email": "a@example.org"}}])

    made = batch(hub, "create", named("A", associations=[linked(contact, BOOKING_TO_CONTACT)]))

    path = f"/crm/associations/{V}/{CONTACTS}/{BOOKINGS}/batch/read"
    answer = hub.call("POST", path, {"inputs": [{"id": contact}]})
    assert answer.body["results"][0]["to"][0]["toObjectId"] == made.body["results"][0]["id"]


@pytest.mark.parametrize(
    "association",
    [linked("404", BOOKING_TO_CONTACT), linked("1", 999), linked("1", 15, "HUBSPOT_DEFINED")],
    ids=["unknown target", "unknown type", "wrong category"],
)
def test_a_create_with_an_impossible_link_makes_nothing(
    hub: SandboxHandle, association: dict[str, object]
) -> None:
    hub.bulk([{"type": CONTACTS, "id": "1", "properties": {}}])

    answer = batch(hub, "create", named("A", associations=[association]))

    assert (answer.status, hub.records(BOOKINGS)) == (400, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("capacity", "many"), ("exam_date", "tomorrow"), ("is_active", "yes"), ("mock_type", "oral")],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(
    hub: SandboxHandle, name: str, value: str
) -> None:
    answer = hub.call("POST", objects(EXAMS), {"properties": {name: value}})

    assert (answer.status, answer.body["errors"][0]["name"]) == (400, name)


def test_history_tells_each_value_newest_first_and_who_wrote_it(hub: SandboxHandle) -> None:
    (booking,) = hub.bulk([{"type": BOOKINGS, "properties": {"name": "A"}}])
    batch(hub, "update", {"id": booking, **named("B")})

    answer = batch(hub, "read", {"id": booking}, propertiesWithHistory=["name"])

    history = answer.body["results"][0]["propertiesWithHistory"]["name"]
    assert [(each["value"], each["sourceType"]) for each in history] == [
        ("B", "INTEGRATION"),
        ("A", "CRM_UI"),
    ]


def test_an_archived_object_is_gone_unless_asked_for(hub: SandboxHandle) -> None:
    (booking,) = hub.bulk([{"type": BOOKINGS, "properties": {"name": "A"}}])

    assert hub.call("DELETE", objects(BOOKINGS, f"/{booking}")).status == 204
    assert hub.call("GET", objects(BOOKINGS, f"/{booking}")).status == 404
    shown = hub.call("GET", objects(BOOKINGS, f"/{booking}?archived=true"))
    assert (shown.status, shown.body["archived"]) == (200, True)


def test_a_list_leads_through_all_objects(hub: SandboxHandle) -> None:
    ids = hub.bulk([{"type": BOOKINGS, "properties": {}} for _ in range(5)])

    first = hub.call("GET", objects(BOOKINGS, "?limit=3")).body
    after = first["paging"]["next"]["after"]
    second = hub.call("GET", objects(BOOKINGS, f"?limit=3&after={after}")).body

    assert [each["id"] for each in first["results"] + second["results"]] == ids
    assert "paging" not in second


@pytest.mark.parametrize(("family", "status"), [("2026-09", 400), ("2026-03", 201)])
def test_only_the_newest_family_enforces_an_administrators_rules(
    hub: SandboxHandle, family: str, status: int
) -> None:
    rule = {"object_type": BOOKINGS, "property": "student_id", "required": True}
    hub.configure(validation_rules=[rule])

    answer = hub.call("POST", objects(BOOKINGS, family=family), named("A"))

    assert answer.status == status
    assert status == 201 or answer.body["context"] == {"propertyName": ["student_id"]}


def test_a_rule_on_the_format_refuses_a_whole_update(hub: SandboxHandle) -> None:
    first, second = hub.bulk({"type": BOOKINGS, "properties": {"name": "A"}} for _ in range(2))
    rule = {"object_type": BOOKINGS, "property": "student_id", "pattern": r"S\d+"}
    hub.configure(validation_rules=[rule])

    answer = batch(
        hub,
        "update",
        {"id": first, **named("B")},
        {"id": second, "properties": {"student_id": "17"}},
    )

    assert (answer.status, names(hub)) == (400, {"A"})
