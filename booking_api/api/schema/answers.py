"""How answers look in the schema: the envelope, and an error with exactly the codes it can have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers

from booking_api.api.errors import STATUS_OF_CODE

Documented = serializers.Serializer[Any] | serializers.ListSerializer[Any]

# Sets of codes that many operations share; what one code has is named by it.
NAMES_OF_CODES = {
    frozenset({"HUBSPOT_UNAVAILABLE", "RATE_LIMITED"}): "UnavailableError",
    frozenset({"MALFORMED_JSON", "VALIDATION_ERROR"}): "BadRequestError",
}


class ErrorFields(serializers.Serializer[Any]):
    """What every error has; `code` is narrowed for each answer."""

    success = serializers.BooleanField(help_text="Always false.")
    error = serializers.CharField(help_text="A sentence for a person.")
    code = serializers.CharField(help_text="What happened, for programs.")
    validationErrors = serializers.ListField(  # noqa: N815 - the contract's name
        child=serializers.CharField(),
        required=False,
        help_text="A sentence for each field that cannot be accepted, its name in front.",
    )
    retryAfter = serializers.IntegerField(  # noqa: N815 - the contract's name
        required=False, help_text="Seconds after which asking again makes sense."
    )
    request_id = serializers.CharField(help_text="The same as the header `X-Request-ID`.")


class KeyedErrorFields(ErrorFields):
    """An error after which the same request may be sent again, with the same key."""

    idempotency_key = serializers.CharField(
        required=False, help_text="Send this as `Idempotency-Key` with the repeated request."
    )


def envelope(operation_id: str, data: Documented) -> serializers.Serializer[Any]:
    """Return how a success looks: `data` in the envelope."""
    return named_answer(
        operation_id,
        {
            "success": serializers.BooleanField(help_text="Always true."),
            "message": serializers.CharField(help_text="A sentence for a person."),
            "data": data,
        },
    )


def named_answer(operation_id: str, fields: dict[str, Any]) -> serializers.Serializer[Any]:
    """Return how an answer looks that has these fields."""
    made = inline_serializer(f"{capitalize(operation_id)}Answer", fields)
    # Or the answer of a view called `list` is taken for an array of answers.
    extend_schema_serializer(many=False)(type(made))
    return made


@cache
def error_kind(
    operation_id: str, codes: frozenset[str], base: type[ErrorFields] = ErrorFields
) -> type[ErrorFields]:
    """Return how an error with one of these codes looks; the same for all that look the same."""
    name = _name_shared(codes) if base is ErrorFields else None
    name = name or f"{capitalize(operation_id)}Error{status_of(codes)}"
    return _make_error(name, codes, base)


@cache
def _make_error(name: str, codes: frozenset[str], base: type[ErrorFields]) -> type[ErrorFields]:
    code = serializers.ChoiceField(sorted(codes), help_text="What happened, for programs.")
    kind: type[ErrorFields] = extend_schema_serializer(many=False)(
        type(name, (base,), {"code": code})
    )
    return kind


def _name_shared(codes: frozenset[str]) -> str | None:
    if len(codes) == 1:
        (code,) = codes
        words = code.removesuffix("_ERROR").split("_")
        return f"{''.join(word.capitalize() for word in words)}Error"
    return NAMES_OF_CODES.get(codes)


def status_of(codes: Iterable[str]) -> int:
    """Return the status that these codes share."""
    (status,) = {STATUS_OF_CODE[code] for code in codes}
    return status


def capitalize(operation_id: str) -> str:
    return f"{operation_id[0].upper()}{operation_id[1:]}"
