"""How the schema shows our own fields, and the secret of the scheduler."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from typing_extensions import override

from cache_layer.operating.host import cache_host
from hubspot_sync.portal.profile import load_profile


class CronScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its hook has no types
    """How the schema names the scheduler's secret."""

    target_class = "booking_api.api.authentication.CronAuthentication"
    name = "cronSecret"

    @override
    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "CRON_SECRET"}


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
        # Not `anyOf` what may be changed: generated clients take that for a choice of types.
        one_more = len(schema["required"]) + 1
        return schema | {"minProperties": one_more, "additionalProperties": False}


class CancelExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    """What names the student may be in the body or in the query, so neither must have it."""

    target_class = "booking_api.api.serializers.CancelAskedFields"

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        return {name: value for name, value in schema.items() if name != "required"}


class InvalidateExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    """One kind for each field that names what is to go, as exactly one does."""

    target_class = "booking_api.api.views.cache.InvalidateAsked"

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        fields = schema["properties"]
        # Not an `enum`, which generated clients know of texts and numbers alone.
        fields["all"] = {"type": "boolean", "not": {"enum": [False]}}
        return {
            "oneOf": [
                {
                    "type": "object",
                    "title": f"Invalidate {name.replace('_', ' ')}",
                    "properties": {name: fields[name], "reason": fields["reason"]},
                    "required": [name],
                }
                for name in fields
                if name != "reason"
            ]
        }
