"""How the envelope looks in the schema, and which addresses it shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers
from typing_extensions import override

from cache_layer.operating.host import cache_host
from hubspot_sync.portal.profile import load_profile

Documented = serializers.Serializer[Any] | serializers.ListSerializer[Any]


class CronScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its hook has no types
    """How the schema names the scheduler's secret."""

    target_class = "booking_api.api.authentication.CronAuthentication"
    name = "cronSecret"

    @override
    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "CRON_SECRET"}


class ApiSchema(AutoSchema):
    """drf-spectacular's, which also shows what the body of a DELETE is."""

    @override
    def _get_request_body(self, direction: Any = "request") -> Any:
        method = self.method
        # It knows no DELETE with a body.
        self.method = "POST" if method == "DELETE" else method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method


class MockTypeExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema names the mock types of the portal that is served."""

    target_class = "booking_api.api.serializers.MockTypeField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        types = load_profile(settings.HUBSPOT_PORTAL).mock_types
        return {"type": "string", "enum": [mock_type.value for mock_type in types]}


class FamilyExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema names the cache's families."""

    target_class = "booking_api.api.serializers.FamilyField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {
            "type": "string",
            "enum": sorted(family.name for family in cache_host().cache.catalogue),
        }


class SentBooleanExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema shows the texts that are taken for true and false, too."""

    target_class = "booking_api.api.serializers.SentBooleanField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        texts = sorted(word for word in self.target.words if isinstance(word, str))
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": texts}]}


class SentTextExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema says that a text which must be one has more than blanks, and no NUL."""

    target_class = "booking_api.api.serializers.SentTextField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer_field(
            self.target, direction, bypass_extensions=True
        )
        if self.target.allow_blank:
            return schema
        return schema | {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


class StudentIdExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema shows every form of a student id that is taken."""

    target_class = "booking_api.api.serializers.StudentIdField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": "^ *[A-Za-z0-9]+ *$", "maxLength": 64}


class RecordIdExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    """The schema shows both forms of an id that are taken."""

    target_class = "booking_api.api.serializers.RecordIdField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        text = {"type": "string", "pattern": "^[0-9]{1,20}$"}
        return {"anyOf": [text, {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}]}


class UpdateExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    """Something to change, besides the pair."""

    target_class = "booking_api.api.serializers.UpdateAskedFields"

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        changes = [name for name in schema["properties"] if name not in schema["required"]]
        return schema | {
            "anyOf": [{"required": [name]} for name in changes],
            "additionalProperties": False,
        }


class InvalidateExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    """Exactly one of the fields that name what is to go."""

    target_class = "booking_api.api.views.cache.InvalidateAsked"

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        scopes = [name for name in schema["properties"] if name != "reason"]
        schema["properties"]["all"] = {"type": "boolean", "enum": [True]}
        return schema | {"oneOf": [{"required": [name]} for name in scopes]}


class ErrorFields(serializers.Serializer[Any]):
    """Every answer that is not a success."""

    success = serializers.BooleanField(default=False)
    error = serializers.CharField(help_text="A sentence for a person.")
    code = serializers.CharField()
    validationErrors = serializers.ListField(  # noqa: N815 - the contract's name
        child=serializers.CharField(), required=False
    )
    retryAfter = serializers.IntegerField(  # noqa: N815 - the contract's name
        required=False, help_text="Seconds."
    )
    request_id = serializers.CharField()


def response_schemas(
    name: str, data: Documented, *errors: int, status: int = 200
) -> dict[int, Any]:
    """Return the answers of an endpoint: `data` in the envelope with `status`, or one of the error
    statuses. Any may be busy, and where a body may be too large it may be too slow, or without
    length."""
    enveloped = inline_serializer(
        name,
        {
            "success": serializers.BooleanField(),
            "message": serializers.CharField(),
            "data": data,
        },
    )
    # Or the answer of a view called `list` is taken for an array of envelopes.
    extend_schema_serializer(many=False)(type(enveloped))
    of_bodies = (408, 411) if 413 in errors else ()
    return {status: enveloped} | dict.fromkeys(sorted({*errors, *of_bodies, 503}), ErrorFields)


def drop_unoffered_endpoints(endpoints: list[Any], **_: Any) -> list[Any]:
    """Leave out what is served but not offered: the slashed forms and the missing id."""
    return [row for row in endpoints if not row[0].endswith("/") and row[0] != "/api/bookings"]
