"""hubspot-facts.md, line by line: creating, unique values, and what one bad record does."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot.crm.objects.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub


def traced(trace_id: str, **properties: str) -> dict[str, Any]:
    return {"properties": properties, "objectWriteTraceId": trace_id}


def inline(hub: Hub, to_type: str, to_id: str, *, category: str = "USER_DEFINED") -> dict[str, Any]:
    kind = {
        "associationCategory": category,
        "associationTypeId": hub.type_id(BOOKINGS, to_type),
    }
    return {"to": {"id": to_id}, "types": [kind]}


def definition(name: str, *, unique: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "type": "string",
        "fieldType": "text",
        "groupName": "booking_information",
        "hasUniqueValue": unique,
    }


def test_batch_create_creates_and_associates_in_one_call(hub: Hub) -> None:
    contact, exam = hub.sandbox.bulk(
        [
            {"type": CONTACTS, "properties": {"email": "amy@example.org"}},
            {"type": EXAMS, "properties": {"capacity": "20"}},
        ]
    )
    links = [inline(hub, CONTACTS, contact), inline(hub, EXAMS, exam)]
    body = {"inputs": [{"properties": {"name": "Amy"}, "associations": links}]}

    (made,) = hub.client.crm.objects.batch_api.create(BOOKINGS, body).results

    for to_type, to_id in ((CONTACTS, contact), (EXAMS, exam)):
        (there,) = hub.associated(BOOKINGS, to_type, {"id": made.id}).body["results"]
        (back,) = hub.associated(to_type, BOOKINGS, {"id": to_id}).body["results"]
        assert [str(each["toObjectId"]) for each in there["to"]] == [to_id]
        assert [str(each["toObjectId"]) for each in back["to"]] == [made.id]


def test_a_create_is_all_or_nothing_unless_every_input_has_a_trace_id(hub: Hub) -> None:
    bad_link = inline(hub, CONTACTS, "404")
    inputs = [traced("a", name="Amy"), {"properties": {}, "associations": [bad_link]}]

    answer = hub.create(BOOKINGS, *inputs)

    assert answer.status == 400
    assert hub.sandbox.records(BOOKINGS) == []


def test_with_trace_ids_a_207_lists_which_were_made_and_which_were_not(hub: Hub) -> None:
    bad = traced("bad", name="Bea") | {"associations": [inline(hub, CONTACTS, "404")]}
    body = {"inputs": [traced("good", name="Amy"), bad]}

    answer = hub.client.crm.objects.batch_api.create(BOOKINGS, body)
    raw = hub.create(BOOKINGS, *body["inputs"])

    assert [each.object_write_trace_id for each in answer.results] == ["good"]
    assert answer.errors[0].context["objectWriteTraceId"] == ["bad"]
    assert raw.status == 207
    assert {each["properties"]["name"] for each in hub.sandbox.records(BOOKINGS)} == {"Amy"}


def test_a_trace_id_is_echoed_on_what_was_made(hub: Hub) -> None:
    answer = hub.create(BOOKINGS, traced("one", name="Amy"), traced("two", name="Bea"))

    assert answer.status == 201
    names = {
        each["objectWriteTraceId"]: each["properties"]["name"] for each in answer.body["results"]
    }
    assert names == {"one": "Amy", "two": "Bea"}


def test_an_unknown_association_type_is_refused(hub: Hub) -> None:
    (contact,) = hub.sandbox.bulk([{"type": CONTACTS, "properties": {"email": "a@example.org"}}])
    link = inline(hub, CONTACTS, contact)
    link["types"][0]["associationTypeId"] = 999_999

    assert hub.create(BOOKINGS, {"properties": {}, "associations": [link]}).status == 400


def test_a_unique_conflict_answers_409_for_all_hundred_trace_ids_or_not(hub: Hub) -> None:
    hub.bookings(1, idempotency_key="taken")
    inputs = [traced(str(number), idempotency_key=f"key-{number}") for number in range(99)]

    answer = hub.create(BOOKINGS, *inputs, traced("culprit", idempotency_key="taken"))

    assert (answer.status, answer.body["category"]) == (409, "CONFLICT")
    assert len(hub.sandbox.records(BOOKINGS)) == 1


def test_one_unique_value_twice_in_a_batch_refuses_it_whole(hub: Hub) -> None:
    answer = hub.create(
        BOOKINGS, traced("a", idempotency_key="same"), traced("b", idempotency_key="same")
    )

    assert answer.status == 409
    assert hub.sandbox.records(BOOKINGS) == []


def test_a_validation_rule_answers_400_for_the_whole_batch_from_2026_09_on(hub: Hub) -> None:
    rule = {"object_type": BOOKINGS, "property": "email", "required": True}
    hub.sandbox.configure(validation_rules=[rule])

    answer = hub.create(BOOKINGS, traced("a", email="amy@example.org"), traced("b", name="Bea"))

    made = len(hub.sandbox.records(BOOKINGS))
    assert (answer.status, made) == ((400, 0) if hub.family == "2026-09" else (201, 2))


def test_an_updates_unique_conflict_refuses_the_whole_batch(hub: Hub) -> None:
    (holder,) = hub.bookings(1, seat_key="1:1")
    one, other = hub.bookings(2)
    inputs = [
        {"id": one, "properties": {"name": "Changed"}},
        {"id": other, "properties": {"seat_key": "1:1"}},
    ]

    answer = hub.call("POST", "objects", f"{BOOKINGS}/batch/update", {"inputs": inputs})

    assert answer.status == 409
    assert hub.sandbox.record(BOOKINGS, one)["properties"]["name"] == "B00000"
    assert hub.sandbox.record(BOOKINGS, holder)["properties"]["seat_key"] == "1:1"


def test_a_second_record_with_the_same_unique_value_is_refused(hub: Hub) -> None:
    api = hub.client.crm.objects.basic_api
    api.create(BOOKINGS, {"properties": {"idempotency_key": "key-1"}})

    with pytest.raises(ApiException) as refused:
        api.create(BOOKINGS, {"properties": {"idempotency_key": "key-1"}})

    assert refused.value.status == 409
    assert len(hub.sandbox.records(BOOKINGS)) == 1


def test_a_unique_property_finds_its_record_by_batch_read(hub: Hub) -> None:
    (booking,) = hub.bookings(1, idempotency_key="key-1")

    answer = hub.read(BOOKINGS, ["key-1", "key-2"], ["name"], idProperty="idempotency_key")

    assert [each["id"] for each in answer.body["results"]] == [booking]
    assert answer.body["errors"][0]["context"]["ids"] == ["key-2"]


def test_a_property_that_is_not_unique_finds_nothing(hub: Hub) -> None:
    hub.bookings(1)

    assert hub.read(BOOKINGS, ["B00000"], idProperty="name").status == 400


def test_a_create_cut_off_after_it_took_effect_is_found_by_its_unique_value(hub: Hub) -> None:
    hub.sandbox.fault("cut_after", path="batch/create", times=1)
    body = {"inputs": [{"properties": {"idempotency_key": "key-1"}}]}

    with pytest.raises(ProtocolError):
        hub.client.crm.objects.batch_api.create(BOOKINGS, body)

    answer = hub.read(BOOKINGS, ["key-1"], idProperty="idempotency_key")
    assert len(answer.body["results"]) == 1


def test_an_object_type_has_at_most_ten_unique_properties_and_only_newly_made_ones(
    hub: Hub,
) -> None:
    api = hub.client.crm.properties.core_api
    names = [f"unique_{number}" for number in range(9)]
    answers = [
        hub.call("POST", "properties", BOOKINGS, definition(name, unique=True)) for name in names
    ]

    # idempotency_key and seat_key are there already: eight more make ten.
    assert [each.status for each in answers] == [201] * 8 + [400]
    listed = {each.name: each.has_unique_value for each in api.get_all(BOOKINGS).results}
    assert sum(listed.values()) == 10
    # One that is there cannot be made unique: the name is taken, and nothing changes a definition.
    taken = hub.call("POST", "properties", BOOKINGS, definition("name", unique=True))
    assert taken.status == 409
    assert listed["name"] is False


def test_the_official_client_makes_a_property_that_can_then_be_written(hub: Hub) -> None:
    hub.client.crm.properties.core_api.create(BOOKINGS, definition("remark", unique=False))

    made = hub.client.crm.objects.basic_api.create(BOOKINGS, {"properties": {"remark": "Hello"}})

    assert made.properties["remark"] == "Hello"


def test_a_property_that_does_not_exist_refuses_the_write_and_is_named(hub: Hub) -> None:
    answer = hub.create(BOOKINGS, {"properties": {"nonsense": "1"}})

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert "nonsense" in answer.body["message"]


def test_an_upsert_writes_by_a_unique_property_and_says_which_are_new(hub: Hub) -> None:
    (known,) = hub.bookings(1, idempotency_key="key-1")
    inputs = [
        {"id": key, "idProperty": "idempotency_key", "properties": {"name": "Amy"}}
        for key in ("key-1", "key-2")
    ]

    answer = hub.client.crm.objects.batch_api.upsert(BOOKINGS, {"inputs": inputs})

    new = {each.id: each.new for each in answer.results}
    assert (len(new), new[known]) == (2, False)
    assert {each["properties"]["name"] for each in hub.sandbox.records(BOOKINGS)} == {"Amy"}


def test_an_upsert_takes_no_inline_associations(hub: Hub) -> None:
    given = {
        "id": "key-1",
        "idProperty": "idempotency_key",
        "properties": {},
        "associations": [{"to": {"id": "1"}, "types": []}],
    }

    answer = hub.call("POST", "objects", f"{BOOKINGS}/batch/upsert", {"inputs": [given]})

    assert answer.status == 400
    assert hub.sandbox.records(BOOKINGS) == []


def test_an_update_of_an_unknown_record_is_reported_beside_those_written(hub: Hub) -> None:
    (known,) = hub.bookings(1)
    inputs = [{"id": each, "properties": {"name": "Amy"}} for each in (known, "404")]

    answer = hub.client.crm.objects.batch_api.update(BOOKINGS, {"inputs": inputs})

    assert [each.id for each in answer.results] == [known]
    assert answer.errors[0].context["ids"] == ["404"]


def test_there_is_no_conditional_update_the_last_write_wins(hub: Hub) -> None:
    (booking,) = hub.bookings(1)
    path = f"{BOOKINGS}/{booking}"
    hub.call("PATCH", "objects", path, {"properties": {"name": "First"}})

    second = hub.call("PATCH", "objects", path, {"properties": {"name": "Second"}, "ifMatch": "1"})

    assert second.status == 200
    assert hub.sandbox.record(BOOKINGS, booking)["properties"]["name"] == "Second"
