"""Mock types as data: how each is spelt, which credits pay for it, which extra fields it needs.

Reading notes every mistake with its dotted key (see `toml_reader.py`) and keeps three promises the
application builds on: no two types share a value or a slug, every type has a credit, and a token
label stands for one credit only, because cancelling gives back what the label names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hubspot_sync.portal.toml_reader import TomlReader

FieldKind = Literal["bool", "choice"]

PROPERTY_NAME = re.compile(r"[a-z][a-z0-9_]*")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
STUDENT_FIELDS: Mapping[str, FieldKind] = {"dominant_hand": "bool", "attending_location": "choice"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraField:
    """A booking field that some mock types need: a bool, or one of `choices`.

    `choices` maps what a caller sends to what HubSpot stores; it is empty for a bool.
    """

    name: str
    kind: FieldKind
    required: bool
    choices: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class MockType:
    """A kind of mock exam: how it is spelt in HubSpot and which credits pay for it.

    `slug` is its name in keys and addresses. Fields not among `extra_fields` mean nothing to it.
    """

    value: str
    slug: str
    credit_property: str
    token_label: str
    shared_credit_property: str | None
    shared_token_label: str | None
    extra_fields: tuple[ExtraField, ...]


def read_mock_types(
    tables: list[TomlReader],
    booking_fields: Mapping[str, str],
    choices: Mapping[str, Mapping[str, str]],
) -> tuple[MockType, ...]:
    """Return the mock types of `tables`; what is wrong is noted in them."""
    values: set[str] = set()
    slugs: set[str] = set()
    credit_of_label: dict[str, str] = {}
    mock_types = []
    for table in tables:
        mock_type = _read_mock_type(table, booking_fields, choices)
        _note_repeated(table, "value", mock_type.value, values)
        _note_repeated(table, "slug", mock_type.slug, slugs)
        for key, label, credit in _tokens(mock_type):
            if credit_of_label.setdefault(label, credit) != credit:
                table.note_problem(key, f"is {label!r}, which stands for another credit already.")
        mock_types.append(mock_type)
    return tuple(mock_types)


def read_student_fields(
    table: TomlReader, key: str, booking_fields: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the list under `key`, whose members are booking fields that students fill in."""
    fields = table.texts(key)
    for field in fields:
        if field not in STUDENT_FIELDS:
            table.note_problem(
                key, f"names {field!r}; it wants any of {', '.join(STUDENT_FIELDS)}."
            )
        elif field not in booking_fields:
            table.note_problem(key, f"names {field!r}, which is no field in [bookings].")
    return tuple(field for field in fields if field in STUDENT_FIELDS)


def _read_mock_type(
    table: TomlReader,
    booking_fields: Mapping[str, str],
    choices: Mapping[str, Mapping[str, str]],
) -> MockType:
    value = table.text("value")
    slug = table.optional_text("slug", SLUG, "clinical-skills")
    shared_credit = table.optional_text("shared_credit", PROPERTY_NAME, "shared_mock_credits")
    shared_label = table.optional_text("shared_token_label")
    credit = table.text("credit", PROPERTY_NAME, "credits_clinical")
    if (shared_credit is None) != (shared_label is None):
        table.note_problem(
            "shared_credit", "and shared_token_label are wanted together or not at all."
        )
    if shared_credit is not None and shared_credit == credit:
        table.note_problem("shared_credit", f"is {credit!r}, which is the type's own credit.")
    mock_type = MockType(
        value=value,
        slug=slug if slug is not None else _make_slug(value),
        credit_property=credit,
        token_label=table.text("token_label"),
        shared_credit_property=shared_credit,
        shared_token_label=shared_label,
        extra_fields=_read_extra_fields(table, booking_fields, choices),
    )
    if value and not mock_type.slug:
        table.note_problem(
            "slug", "is wanted: the value has no letters a to z or digits to make one."
        )
    table.finish()
    return mock_type


def _read_extra_fields(
    table: TomlReader,
    booking_fields: Mapping[str, str],
    choices: Mapping[str, Mapping[str, str]],
) -> tuple[ExtraField, ...]:
    required = read_student_fields(table, "required", booking_fields)
    optional = read_student_fields(table, "optional", booking_fields)
    for field in set(required) & set(optional):
        table.note_problem("optional", f"names {field!r}, which is required already.")
    for key, fields in (("required", required), ("optional", optional)):
        for field in fields:
            if STUDENT_FIELDS[field] == "choice" and not choices.get(field):
                table.note_problem(key, f"names {field!r}, so [choices.{field}] is wanted.")
    return tuple(
        ExtraField(
            name=field,
            kind=STUDENT_FIELDS[field],
            required=field in required,
            choices=choices.get(field, {}),
        )
        for field in (*required, *optional)
    )


def _note_repeated(table: TomlReader, key: str, text: str, seen: set[str]) -> None:
    if text and text.casefold() in seen:
        table.note_problem(key, f"is {text!r}, as in another mock type.")
    seen.add(text.casefold())


def _tokens(mock_type: MockType) -> Iterator[tuple[str, str, str]]:
    """Yield the key, label and credit of each token with a label."""
    if mock_type.token_label:
        yield "token_label", mock_type.token_label, mock_type.credit_property
    if mock_type.shared_token_label and mock_type.shared_credit_property:
        yield (
            "shared_token_label",
            mock_type.shared_token_label,
            mock_type.shared_credit_property,
        )


def _make_slug(value: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
