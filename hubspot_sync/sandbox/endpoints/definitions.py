"""Properties, schemas and what a token may do."""

from __future__ import annotations

from typing import Any

from hubspot_sync.sandbox.config import APP_ID, PORTAL_ID
from hubspot_sync.sandbox.data.schemas import MAX_UNIQUE_PROPERTIES, ObjectType, Property
from hubspot_sync.sandbox.endpoints.context import Sandbox
from hubspot_sync.sandbox.messages import Refusal, Reply, Request, invalid, not_found

APP = {"appId": APP_ID}
TYPES = ("string", "number", "bool", "enumeration", "date", "datetime")
FIELD_TYPES = {
    "string": "text",
    "number": "number",
    "bool": "booleancheckbox",
    "enumeration": "select",
    "date": "date",
    "datetime": "date",
}


def list_properties(sandbox: Sandbox, request: Request) -> Reply:
    object_type = sandbox.type_of(request.names["type"])
    return Reply(200, {"results": _render_properties(object_type)})


def read_property(sandbox: Sandbox, request: Request) -> Reply:
    definition = sandbox.type_of(request.names["type"]).properties.get(request.names["name"])
    if definition is None:
        raise not_found(f"Property {request.names['name']} does not exist")
    return Reply(200, _render_property(definition))


def create_property(sandbox: Sandbox, request: Request) -> Reply:
    """201; 409 for a name that is taken, 400 past ten unique properties.

    A property is unique from its making on or never: there is no call that changes it.
    """
    fields = request.fields
    # `fieldType` is demanded, too; what is shown of it follows from the type.
    name, label, value_type, _, group = (
        _require_text(fields, key) for key in ("name", "label", "type", "fieldType", "groupName")
    )
    definition = Property(
        name=name,
        label=label,
        type=value_type,
        group=group,
        unique=fields.get("hasUniqueValue") is True,
        options=tuple(str(each["value"]) for each in fields.get("options") or ()),
    )
    if definition.type not in TYPES:
        raise invalid(f"Invalid type: {definition.type}; it is one of {', '.join(TYPES)}")
    with sandbox.store.lock:
        object_type = sandbox.type_of(request.names["type"])
        if definition.name in object_type.properties:
            message = f"A property named '{definition.name}' already exists."
            raise Refusal(409, "OBJECT_ALREADY_EXISTS", message)
        if definition.unique:
            _check_unique_limit(object_type)
        sandbox.store.define_property(object_type.type_id, definition)
    return Reply(201, _render_property(definition))


def list_schemas(sandbox: Sandbox, _request: Request) -> Reply:
    """200 with the portal's custom types; HubSpot's own have no schema here."""
    results = [_render_schema(sandbox, each) for each in sandbox.store.types() if each.custom]
    return Reply(200, {"results": results})


def read_schema(sandbox: Sandbox, request: Request) -> Reply:
    asked = request.names["type"]
    for each in sandbox.store.types():
        if asked in (each.type_id, each.fully_qualified_name):
            return Reply(200, _render_schema(sandbox, each))
    raise not_found(f"There is no schema {asked}")


def token_info(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the token's portal and scopes, or as little as of a service key; 404 for another
    token."""
    if request.fields.get("tokenKey") != sandbox.config.token:
        raise not_found("The token does not exist")
    if sandbox.config.app_info == "empty":
        return Reply(200, {})
    info: dict[str, Any] = {"userId": 1, "hubId": PORTAL_ID, "scopes": list(sandbox.config.scopes)}
    return Reply(200, info if sandbox.config.app_info == "without_app" else info | APP)


def _check_unique_limit(object_type: ObjectType) -> None:
    """HubSpot's own unique properties (a contact's e-mail) are not among the ten."""
    own = [each for each in object_type.properties.values() if not each.hubspot_defined]
    if sum(each.unique for each in own) >= MAX_UNIQUE_PROPERTIES:
        raise invalid(
            f"{object_type.singular} has {MAX_UNIQUE_PROPERTIES} unique properties, "
            "which is the maximum"
        )


def _require_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value == "":
        raise invalid(f"Invalid input JSON: {name} is required", context={"propertyName": [name]})
    return value


def _render_properties(object_type: ObjectType) -> list[dict[str, Any]]:
    return [_render_property(each) for each in object_type.properties.values()]


def _render_property(definition: Property) -> dict[str, Any]:
    return {
        "name": definition.name,
        "label": definition.label or definition.name,
        "type": definition.type,
        "fieldType": FIELD_TYPES[definition.type],
        "groupName": definition.group,
        "description": "",
        "options": [
            {"label": each, "value": each, "displayOrder": place, "hidden": False}
            for place, each in enumerate(definition.options)
        ],
        "displayOrder": -1,
        "hasUniqueValue": definition.unique,
        "hidden": False,
        "formField": False,
        "calculated": False,
        "externalOptions": False,
        "hubspotDefined": definition.hubspot_defined,
        "archived": False,
        "modificationMetadata": {
            "archivable": not definition.hubspot_defined,
            "readOnlyDefinition": definition.hubspot_defined,
            "readOnlyValue": definition.read_only,
        },
    }


def _render_schema(sandbox: Sandbox, object_type: ObjectType) -> dict[str, Any]:
    number = object_type.type_id.partition("-")[2]
    associations = [
        {
            "id": str(label.type_id),
            "fromObjectTypeId": object_type.type_id,
            "toObjectTypeId": other.type_id,
            "name": label.label or f"{object_type.name}_to_{other.name}",
        }
        for other in sandbox.store.types()
        for label in sandbox.store.labels(object_type.type_id, other.type_id)
    ]
    return {
        "id": number,
        "objectTypeId": object_type.type_id,
        "fullyQualifiedName": object_type.fully_qualified_name,
        "name": object_type.name,
        "labels": {"singular": object_type.singular, "plural": object_type.plural},
        "primaryDisplayProperty": object_type.display_property,
        "secondaryDisplayProperties": [],
        "requiredProperties": [object_type.display_property],
        "searchableProperties": [object_type.display_property],
        "properties": _render_properties(object_type),
        "associations": associations,
        "archived": False,
    }
