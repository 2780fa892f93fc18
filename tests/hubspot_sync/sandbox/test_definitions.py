"""Properties, schemas and the token's scopes, as a preflight asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, EXAMS
from tests.sandbox import TOKEN, Answer, SandboxHandle

PROPERTIES = f"/crm/properties/2026-09/{BOOKINGS}"
SCHEMAS = "/crm-object-schemas/2026-09/schemas"


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    return kind_sandbox


def define(hub: SandboxHandle, name: str, **more: Any) -> Answer:
    definition = {
        "name": name,
        "label": name,
        "type": "string",
        "fieldType": "text",
        "groupName": "bookings_information",
    }
    return hub.call("POST", PROPERTIES, {**definition, **more})


def test_a_property_made_can_be_written_from_then_on(hub: SandboxHandle) -> None:
    path, body = f"/crm/objects/2026-09/{BOOKINGS}", {"properties": {"colour": "red"}}
    assert hub.call("POST", path, body).status == 400

    assert define(hub, "colour").status == 201

    assert hub.call("POST", path, body).status == 201
    listed = [each["name"] for each in hub.call("GET", PROPERTIES).body["results"]]
    assert "colour" in listed
    assert hub.call("GET", f"{PROPERTIES}/colour").body["hasUniqueValue"] is False


def test_a_name_taken_is_refused(hub: SandboxHandle) -> None:
    answer = define(hub, "seat_key")

    assert (answer.status, answer.body["category"]) == (409, "OBJECT_ALREADY_EXISTS")


@pytest.mark.parametrize("wrong", [{"type": "colour"}, {"fieldType": None}, {"label": ""}], ids=str)
def test_half_a_definition_is_refused(hub: SandboxHandle, wrong: dict[str, Any]) -> None:
    assert define(hub, "colour", **wrong).status == 400


def test_ten_properties_may_be_unique_and_no_more(hub: SandboxHandle) -> None:
    known = hub.call("GET", PROPERTIES).body["results"]
    room = 10 - sum(each["hasUniqueValue"] for each in known)

    made = [define(hub, f"unique_{n}", hasUniqueValue=True).status for n in range(room + 1)]

    assert made == [201] * room + [400]
    assert define(hub, "plain").status == 201


def test_a_property_made_unique_keeps_its_values_apart(hub: SandboxHandle) -> None:
    define(hub, "locker", hasUniqueValue=True)
    path, body = f"/crm/objects/2026-09/{BOOKINGS}", {"properties": {"locker": "7"}}

    assert [hub.call("POST", path, body).status for _ in range(2)] == [201, 409]


def test_schemas_show_the_custom_types_alone(hub: SandboxHandle) -> None:
    schemas = hub.call("GET", SCHEMAS).body["results"]

    assert {each["objectTypeId"] for each in schemas} == {BOOKINGS, EXAMS}
    bookings = hub.call("GET", f"{SCHEMAS}/{BOOKINGS}").body
    assert {each["toObjectTypeId"] for each in bookings["associations"]} == {CONTACTS, EXAMS}
    assert hub.call("GET", f"{SCHEMAS}/2-404").status == 404


def test_the_tokens_scopes_can_be_asked_for(hub: SandboxHandle) -> None:
    hub.configure(scopes=["crm.objects.contacts.read"])
    path = "/oauth/v2/private-apps/get/access-token-info"

    assert hub.call("POST", path, {"tokenKey": TOKEN}).body["scopes"] == [
        "crm.objects.contacts.read"
    ]
    assert hub.call("POST", path, {"tokenKey": "another"}).status == 404


def test_a_service_keys_information_may_name_no_app(hub: SandboxHandle) -> None:
    path, asked = "/oauth/v2/private-apps/get/access-token-info", {"tokenKey": TOKEN}
    whole = hub.call("POST", path, asked).body

    hub.configure(app_info="without_app")
    assert hub.call("POST", path, asked).body == {
        name: value for name, value in whole.items() if name != "appId"
    }
    hub.configure(app_info="empty")
    assert hub.call("POST", path, asked).body == {}


def test_a_property_that_was_taken_away_is_refused(hub: SandboxHandle) -> None:
    contact = hub.create(CONTACTS, {"email": "a@example.org", "firstname": "A"})
    hub.drop_property(CONTACTS, "firstname")
    path = f"/crm/objects/2026-09/{CONTACTS}/batch/update"

    body = {"inputs": [{"id": contact, "properties": {"firstname": "B"}}]}
    refused = hub.call("POST", path, body)

    assert refused.status == 400
    assert refused.body["errors"][0]["code"] == "PROPERTY_DOESNT_EXIST"
    assert hub.call("GET", f"/crm/properties/2026-09/{CONTACTS}/firstname").status == 404


def test_a_history_names_whoever_wrote_and_keeps_as_much_as_it_is_told(hub: SandboxHandle) -> None:
    contact = hub.create(CONTACTS, {"email": "a@example.org", "firstname": "A"})
    path = f"/crm/objects/2026-09/{CONTACTS}/batch"
    hub.configure(source_type="API", source_id="userId:7")
    written = {"id": contact, "properties": {"firstname": "B"}}
    hub.call("POST", f"{path}/update", {"inputs": [written]})
    hub.write_as(("INTEGRATION", "99"), CONTACTS, contact, firstname="C")

    def history() -> list[tuple[str, str, str]]:
        asked = {"inputs": [{"id": contact}], "propertiesWithHistory": ["firstname"]}
        record = hub.call("POST", f"{path}/read", asked).body["results"][0]
        versions = record["propertiesWithHistory"]["firstname"]
        return [(each["value"], each["sourceType"], each["sourceId"]) for each in versions]

    ours, others = ("B", "API", "userId:7"), ("C", "INTEGRATION", "99")
    assert history() == [others, ours, ("A", "CRM_UI", "userId:1")]
    hub.configure(history_limit=2)
    assert history() == [others, ours]
