"""How the envelope and its errors look in the schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers

Documented = serializers.Serializer[Any] | serializers.ListSerializer[Any]


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
