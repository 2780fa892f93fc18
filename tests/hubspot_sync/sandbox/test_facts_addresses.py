"""hubspot-facts.md, line by line: the families of paths, addresses and ids, apps and tokens."""

from __future__ import annotations

import pytest
from hubspot.crm.objects.exceptions import ForbiddenException, UnauthorizedException
from hubspot.crm.pipelines.exceptions import ServiceException

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, FAMILIES, NOTES, Hub
from tests.sandbox import SandboxHandle

ALL_FAMILIES = ("legacy", "2026-03", "2026-09")
READS = [
    ("POST", "objects", f"{BOOKINGS}/batch/read", {"inputs": [{"id": "8"}]}),
    ("POST", "objects", f"{BOOKINGS}/search", {}),
    ("GET", "objects", f"{BOOKINGS}/8", None),
    ("POST", "associations", f"{BOOKINGS}/{CONTACTS}/batch/read", {"inputs": [{"id": "8"}]}),
    ("GET", "associations", f"{BOOKINGS}/{CONTACTS}/labels", None),
    ("PUT", "links", f"{BOOKINGS}/8/associations/default/{CONTACTS}/7", None),
    ("GET", "properties", BOOKINGS, None),
    ("GET", "schemas", "", None),
]


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize(("method", "operation", "rest", "body"), READS)
def test_every_operation_has_its_path_in_each_family(
    kind_sandbox: SandboxHandle,
    family: str,
    method: str,
    operation: str,
    rest: str,
    body: object,
) -> None:
    kind_sandbox.bulk(
        [
            {"type": CONTACTS, "id": "7", "properties": {"email": "amy@example.org"}},
            {"type": BOOKINGS, "id": "8", "properties": {}},
        ],
        [(BOOKINGS, "8", CONTACTS, "7")],
    )

    answer = kind_sandbox.call(method, Hub(kind_sandbox, family).path(operation, rest), body)

    assert answer.status == 200


def test_listing_one_records_associations_exists_in_the_legacy_family_alone(
    kind_sandbox: SandboxHandle,
) -> None:
    (booking,) = kind_sandbox.bulk([{"type": BOOKINGS, "properties": {}}])
    rest = f"{BOOKINGS}/{booking}/associations/{CONTACTS}"

    statuses = [
        kind_sandbox.call("GET", Hub(kind_sandbox, family).path("links", rest)).status
        for family in FAMILIES
    ]

    assert statuses == [200, 501]


def test_bodies_are_the_same_in_every_family_but_for_the_type_of_target_ids(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.bulk(
        [
            {"type": CONTACTS, "id": "7", "properties": {"email": "amy@example.org"}},
            {"type": BOOKINGS, "id": "8", "properties": {"name": "Amy"}},
        ],
        [(BOOKINGS, "8", CONTACTS, "7")],
    )
    hubs = [Hub(kind_sandbox, family) for family in ALL_FAMILIES]

    objects = [hub.read(BOOKINGS, ["8"], ["name"]).body["results"] for hub in hubs]
    targets = [
        hub.associated(BOOKINGS, CONTACTS, {"id": "8"}).body["results"][0]["to"][0]["toObjectId"]
        for hub in hubs
    ]

    assert objects[0] == objects[1] == objects[2]
    assert targets == [7, "7", "7"]


def test_an_administrators_required_field_is_enforced_on_writes_from_2026_09_on(
    hub: Hub,
) -> None:
    rule = {"object_type": BOOKINGS, "property": "name", "required": True}
    hub.sandbox.configure(validation_rules=[rule])
    body = {"properties": {"email": "amy@example.org"}}

    statuses = {
        family: hub.sandbox.call("POST", hub.path("objects", BOOKINGS, family=family), body)
        for family in ALL_FAMILIES
    }

    assert statuses["legacy"].status == statuses["2026-03"].status == 201
    refused = statuses["2026-09"]
    assert (refused.status, refused.body["category"]) == (400, "VALIDATION_ERROR")
    assert refused.body["errors"][0]["name"] == "name"


def test_an_administrators_format_is_enforced_on_updates_from_2026_09_on(hub: Hub) -> None:
    (contact,) = hub.sandbox.bulk([{"type": CONTACTS, "properties": {"email": "a@example.org"}}])
    rule = {"object_type": CONTACTS, "property": "student_id", "pattern": "[A-Z0-9]+"}
    hub.sandbox.configure(validation_rules=[rule])

    answer = hub.call(
        "PATCH", "objects", f"{CONTACTS}/{contact}", {"properties": {"student_id": "no"}}
    )

    assert answer.status == (400 if hub.family == "2026-09" else 200)


def test_a_missing_or_bad_token_is_401_and_the_official_clients_unauthorized(hub: Hub) -> None:
    path = hub.path("objects", f"{CONTACTS}/batch/read")
    body = {"inputs": [{"id": "1"}]}

    for token in (None, "pat-wrong"):
        answer = hub.sandbox.call("POST", path, body, token=token)
        assert (answer.status, answer.body["category"]) == (401, "INVALID_AUTHENTICATION")
        assert answer.body["correlationId"]
    with pytest.raises(UnauthorizedException):
        hub.official("pat-wrong").crm.objects.basic_api.get_page(CONTACTS)


def test_a_standard_type_may_be_called_by_its_name(hub: Hub) -> None:
    kinds = {"contacts": {"email": "amy@example.org"}, "notes": {"hs_note_body": "Hello"}}
    for name, properties in kinds.items():
        (made,) = hub.sandbox.bulk([{"type": name, "properties": properties}])

        by_name, by_id = (
            hub.read(name, [made]),
            hub.read({"contacts": CONTACTS}.get(name, NOTES), [made]),
        )

        assert by_name.status == 200
        assert by_name.body["results"] == by_id.body["results"]


def test_a_custom_objects_bare_name_is_no_type(hub: Hub) -> None:
    answer = hub.read("bookings", ["1"])

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")


def test_object_ids_are_strings_of_digits_in_the_objects_api(hub: Hub) -> None:
    made = hub.client.crm.objects.basic_api.create(BOOKINGS, {"properties": {"name": "Amy"}})
    raw = hub.read(BOOKINGS, [made.id]).body["results"][0]

    assert isinstance(raw["id"], str)
    assert raw["id"].isdigit()
    assert raw["properties"]["hs_object_id"] == raw["id"]


def test_target_ids_are_json_integers_in_legacy_and_strings_in_the_dated_families(
    hub: Hub,
) -> None:
    contact, booking = hub.sandbox.bulk(
        [
            {"type": CONTACTS, "properties": {"email": "amy@example.org"}},
            {"type": BOOKINGS, "properties": {}},
        ]
    )
    hub.sandbox.associate(BOOKINGS, booking, CONTACTS, contact)

    (result,) = hub.associated(BOOKINGS, CONTACTS, {"id": booking}).body["results"]

    assert result["from"]["id"] == booking
    assert result["to"][0]["toObjectId"] == (int(contact) if hub.family == "legacy" else contact)


def test_all_property_values_are_strings_or_null(hub: Hub) -> None:
    properties = {"capacity": 20, "is_active": True, "location": ""}
    made = hub.call("POST", "objects", EXAMS, {"properties": properties}).body

    read = hub.read(EXAMS, [made["id"]], list(properties)).body["results"][0]["properties"]

    assert (read["capacity"], read["is_active"], read.get("location")) == ("20", "true", None)


def test_a_property_that_was_never_set_is_absent(hub: Hub) -> None:
    (booking,) = hub.bookings(1)

    (result,) = hub.read(BOOKINGS, [booking], ["name", "email"]).body["results"]

    assert "name" in result["properties"]
    assert "email" not in result["properties"]


@pytest.mark.parametrize(
    ("object_type", "stamps"),
    [
        (CONTACTS, {"createdate", "lastmodifieddate"}),
        (BOOKINGS, {"hs_createdate", "hs_lastmodifieddate"}),
    ],
)
def test_a_read_returns_what_was_asked_for_plus_id_and_stamps(
    hub: Hub, object_type: str, stamps: set[str]
) -> None:
    properties = {"email": "amy@example.org", "student_id": "S1"}
    (made,) = hub.sandbox.bulk([{"type": object_type, "properties": properties}])

    (asked,) = hub.read(object_type, [made], ["email"]).body["results"]
    (bare,) = hub.read(object_type, [made]).body["results"]

    assert set(asked["properties"]) == {"hs_object_id", "email"} | stamps
    assert set(bare["properties"]) == {"hs_object_id"} | stamps


def test_what_is_not_imitated_is_501_and_says_what_is_and_what_comes_near(hub: Hub) -> None:
    answer = hub.sandbox.call("POST", hub.path("objects", f"{BOOKINGS}/batch/reed"), {})

    assert answer.status == 501
    assert f"POST {hub.path('objects', '{type}/batch/read')}" in answer.body["nearMisses"]
    with pytest.raises(ServiceException):
        hub.client.crm.pipelines.pipelines_api.get_all(BOOKINGS)


def test_a_plan_or_scope_that_refuses_a_write_is_403_with_a_category(hub: Hub) -> None:
    hub.sandbox.fault("status", status=403, path="batch/create", times=1)

    with pytest.raises(ForbiddenException) as refused:
        hub.client.crm.objects.batch_api.create(BOOKINGS, {"inputs": [{"properties": {}}]})

    assert "MISSING_SCOPES" in refused.value.body
