"""What callers send, checked against a serializer's fields and against the portal's own.

DRF copies every field of a serializer for each new instance, which costs more than the check
itself. A serializer that only checks keeps nothing between two uses, so one of each kind serves
everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.fields import Field
from rest_framework.serializers import Serializer

from booking_api.rules.errors import InvalidRequest
from hubspot_sync.portal.mock_types import STUDENT_FIELDS
from hubspot_sync.portal.profile import MockType, PortalProfile

AnyField = Field[Any, Any, Any, Any]

MAX_QUERIES_KEPT = 1024
# In characters, of names and values together. Ordinary questions have about a hundred.
MAX_QUERY_KEPT = 400


def validate_fields(kind: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the values of the fields of `kind` in `data`; raise ValidationError."""
    values: dict[str, Any] = _shared_serializer(kind).run_validation(data)
    return values


def validate_query(kind: type[Serializer[Any]], query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the same for a query string's texts, which the same callers send again and again; what
    was refused, what is long and what is no field of `kind` is not remembered."""
    fields = _shared_serializer(kind).fields
    items = tuple((name, value) for name, value in query.items() if name in fields)
    if sum(len(name) + len(value) for name, value in items) > MAX_QUERY_KEPT:
        return validate_fields(kind, dict(items))
    return _validate_query_items(kind, items)


def validate_body_or_query(
    kind: type[Serializer[Any]], body: Any, query: QueryDict
) -> dict[str, Any]:
    """Return the values of the fields of `kind`, each from a body, from a query, or alike from
    both; raise ValidationError, and InvalidRequest for a field that is given two values."""
    if not isinstance(body, Mapping):
        return validate_fields(kind, body)
    fields = _shared_serializer(kind).fields
    given = {name: _find_given(field, body, query.getlist(name)) for name, field in fields.items()}
    values = validate_fields(kind, {name: texts[0] for name, texts in given.items() if texts})
    for name, texts in given.items():
        others = (_validate_one(name, fields[name], text) for text in texts[1:])
        if any(other != values[name] for other in others):
            raise InvalidRequest(f"{name}: It is given twice, with different values.")
    return values


def _find_given(field: AnyField, body: Mapping[str, Any], query: list[str]) -> list[Any]:
    """Return all values that a field is given; nothing, said of what may be left out, is none."""
    name = str(field.field_name)
    given = [body[name], *query] if name in body else query
    if field.required:
        return given
    return [value for value in given if value is not None and str(value).strip() != ""]


def _validate_one(name: str, field: AnyField, value: Any) -> Any:
    try:
        return field.run_validation(value)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error


@lru_cache(maxsize=MAX_QUERIES_KEPT)
def _validate_query_items(
    kind: type[Serializer[Any]], items: tuple[tuple[str, str], ...]
) -> Mapping[str, Any]:
    return MappingProxyType(validate_fields(kind, dict(items)))


@cache
def _shared_serializer(kind: type[Serializer[Any]]) -> Serializer[Any]:
    return kind()


def find_mock_type(profile: PortalProfile, value: str) -> MockType:
    """Return the portal's mock type; raise InvalidRequest naming those there are."""
    mock_type = profile.mock_type(value)
    if mock_type is None:
        known = ", ".join(mock_type.value for mock_type in profile.mock_types)
        raise InvalidRequest(f"mock_type: must be one of {known}.")
    return mock_type


def drop_fields_of_other_types(profile: PortalProfile, sent: Any) -> Any:
    """Return what was sent without the fields that some mock types have and the one sent has not:
    whatever they hold, they mean nothing. What names no mock type is left as it is."""
    named = sent.get("mock_type") if isinstance(sent, Mapping) else None
    mock_type = profile.mock_type(named.strip()) if isinstance(named, str) else None
    if mock_type is None:
        return sent
    foreign = STUDENT_FIELDS.keys() - {field.name for field in mock_type.extra_fields}
    return {name: value for name, value in sent.items() if name not in foreign}


def check_extra_fields(mock_type: MockType, sent: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the mock type's own fields among what was sent; raise InvalidRequest for one that is
    missing or wrong."""
    reasons, values = [], {}
    for field in mock_type.extra_fields:
        value = find_choice(field.choices, sent.get(field.name))
        if value is None or value == "":
            if field.required:
                reasons.append(f"{field.name}: This field is required for {mock_type.value}.")
        elif (reason := explain_wrong_value(field.name, field.choices, value)) is not None:
            reasons.append(reason)
        else:
            values[field.name] = value
    if reasons:
        raise InvalidRequest(*reasons)
    return values


def check_edited_fields(profile: PortalProfile, sent: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the values to write; raise InvalidRequest for a field that may not be edited, a wrong
    value, or nothing at all."""
    changes = {
        name: find_choice(profile.choices.get(name, {}), value)
        for name, value in sent.items()
        if name not in {"student_id", "email"}
    }
    editable = ", ".join(profile.editable_fields)
    if len(changes) == 0:
        raise InvalidRequest(f"Nothing to change was sent; these can be: {editable}.")
    reasons = [
        f"{name}: This cannot be changed."
        for name in changes
        if name not in profile.editable_fields
    ]
    for name, value in changes.items():
        if name in profile.editable_fields:
            reason = explain_wrong_value(name, profile.choices.get(name, {}), value)
            reasons += [] if reason is None else [reason]
    if reasons:
        raise InvalidRequest(*reasons)
    return changes


def find_choice(choices: Mapping[str, str], value: Any) -> Any:
    """Return the choice that a text names, in its own or in HubSpot's spelling and in any case; the
    value as it is where it names none."""
    if not isinstance(value, str) or value in choices:
        return value
    named = value.casefold()
    for choice, stored in choices.items():
        if named in {choice.casefold(), stored.casefold()}:
            return choice
    return value


def explain_wrong_value(name: str, choices: Mapping[str, str], value: Any) -> str | None:
    """Return what is wrong with a student field's value, None where nothing is."""
    if STUDENT_FIELDS[name] == "bool":
        return None if isinstance(value, bool) else f"{name}: Must be true or false."
    if choices and value not in choices:
        return f"{name}: Must be one of {', '.join(choices)}."
    return None if isinstance(value, str) and value != "" else f"{name}: Must be a text."
