"""How the schema is made: which addresses it shows, and what is added to drf-spectacular's own.

Docstrings are for engineers and are left out (DISABLE_DOCSTRING_DESCRIPTIONS); what people read
stands with each operation and in `texts.py`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from typing_extensions import override

# Imported to be known: drf-spectacular finds what has been defined.
from booking_api.api.schema import extensions, texts  # noqa: F401
from booking_api.api.schema.examples import Examples
from booking_api.api.schema.operations import Operation, operation_of
from hubspot_sync.portal.profile import load_profile

JSON = "application/json"
ENDINGS = ("Fields", "Asked", "Query")
# Where asking again makes sense, an answer says when.
RETRIED = frozenset({"429", "503"})
NOT_MODIFIED = "304"


class ApiSchema(AutoSchema):
    """drf-spectacular's, with headers, examples, readable names, and the body of a DELETE."""

    @override
    def get_operation(self, *arguments: Any, **options: Any) -> dict[str, Any] | None:
        made: dict[str, Any] | None = super().get_operation(*arguments, **options)
        served = self._served
        if made is None or served is None:
            return made
        examples = examples_of(settings.HUBSPOT_PORTAL)
        for parameter in made.get("parameters", []):
            describe_parameter(parameter, examples)
        for content in made.get("requestBody", {}).get("content", {}).values():
            content["examples"] = examples.of_request(served)
        for status, answered in made["responses"].items():
            answered["description"] = texts.ANSWERS[status]
            answered["headers"] = headers_of(served, status)
            if status != NOT_MODIFIED:
                answered["content"][JSON]["examples"] = examples.of_answer(served, int(status))
        return made

    @property
    def _served(self) -> Operation | None:
        return operation_of(self.view, getattr(self.view, "action_map", None), self.method)

    @override
    def get_operation_id(self) -> str:
        served = self._served
        if served is None:
            return str(super().get_operation_id())
        return served.id_at(self.path)

    @override
    def get_serializer_name(self, serializer: serializers.Serializer[Any], direction: Any) -> str:
        name = str(super().get_serializer_name(serializer, direction))
        for ending in ENDINGS:
            name = name.removesuffix(ending)
        return name

    @override
    def _get_request_body(self, direction: Any = "request") -> Any:
        if self.method != "DELETE":
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # as above
        # It knows no DELETE with a body.
        self.method = "POST"
        try:
            body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # as above
        finally:
            self.method = "DELETE"
        # Without one, everything is in the query.
        return None if body is None else body | {"required": False}


@lru_cache(maxsize=1)
def examples_of(portal: str) -> Examples:
    """Return the examples in the words of a portal's profile."""
    return Examples(load_profile(portal))


def describe_parameter(parameter: dict[str, Any], examples: Examples) -> None:
    """Give a parameter the description of all that have its name, and one that has to be sent its
    example: a page that fills in the others, too, would send what nobody meant."""
    name = parameter["name"]
    parameter.setdefault("description", texts.FIELDS.get(name, ""))
    if parameter.get("required"):
        parameter["example"] = examples.of_parameters[name]


def headers_of(served: Operation, status: str) -> dict[str, Any]:
    """Return the headers of an operation's answer with this status."""
    names = ["X-Request-ID"]
    if served.is_revalidated and status in {"200", NOT_MODIFIED}:
        names.append("ETag")
    if status != "401":
        names.append("Server-Timing")
    if status in RETRIED:
        names.append("Retry-After")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    if status == "409":
        headers["Retry-After"] = texts.HEADERS["Retry-After"] | {"required": False}
    return headers


def drop_unoffered_endpoints(endpoints: list[Any], **_: Any) -> list[Any]:
    """Leave out what is served but not offered: the slashed forms and the missing id."""
    return [row for row in endpoints if not row[0].endswith("/") and row[0] != "/api/bookings"]


def add_texts(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add what people read: about the API, each group of operations, each thing and its fields."""
    result["info"]["description"] = texts.ABOUT
    result["tags"] = [
        {"name": name, "description": description} for name, description in texts.TAGS.items()
    ]
    components = result["components"]
    components["headers"] = texts.HEADERS
    for name, description in texts.SECURITY.items():
        components["securitySchemes"][name]["description"] = description
    for name, schema in components["schemas"].items():
        schema["description"] = texts.describe_component(name)
        for kind in schema.get("oneOf", [schema]):
            for field, described in kind.get("properties", {}).items():
                describe_field(described, field)
                if name.endswith("Request"):
                    tell_default(described)
    return result


def tell_default(schema: dict[str, Any]) -> None:
    """Say in words what a field of a body is where it is not given: generated types take a field
    with a default for one that is always there."""
    default = schema.pop("default", None)
    if default is None or default == "":
        return
    told = f"Where it is not given: `{json.dumps(default)}`."
    schema["description"] = f"{schema.get('description', '')} {told}".strip()


def describe_field(schema: dict[str, Any], name: str) -> None:
    """Give a field the description of all that have its name, unless it has its own."""
    # What drf-spectacular would make enumerations of, each with a name of its own making.
    schema.pop("x-spec-enum-id", None)
    if "$ref" not in schema and name in texts.FIELDS:
        schema.setdefault("description", texts.FIELDS[name])
