"""Dataclasses as JSON in the journal's columns, and read back by their types.

What an earlier release wrote lacks the fields that came later, so those have defaults; what a later
one adds is passed over, and stays where a value is written over it. A field that has its default is
left out: queries ask whether it is there, and an earlier release finds what it knows. Wrong types
and missing fields are refused when a value is read, not where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec

T = TypeVar("T")


class NotUnderstood(ValueError):
    """What is stored is not of the type; the text says where, and has nobody's data."""


def read_stored(stored: object, wanted: type[T]) -> T:
    """Return what a column holds as a dataclass; raise NotUnderstood."""
    try:
        return msgspec.convert(stored, wanted)
    except msgspec.ValidationError as error:
        raise NotUnderstood(str(error)) from error


def to_stored(value: object, over: object = None) -> dict[str, object]:
    """Return a dataclass as an object of JSON; with what is stored in its place, `over`, under
    names that are none of its fields, in it and in the dataclasses within."""
    stored = _to_json(value, over)
    if not isinstance(stored, dict):
        raise TypeError(f"{type(value).__name__} is no dataclass.")
    return stored


def _to_json(value: object, over: object = None) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        there = over if isinstance(over, dict) else {}
        held = [(field, getattr(value, field.name)) for field in fields(value)]
        known = {field.name for field, _ in held}
        own = {
            field.name: _to_json(each, there.get(field.name))
            for field, each in held
            if field.default is MISSING or each != field.default
        }
        return {name: each for name, each in there.items() if name not in known} | own
    if isinstance(value, Mapping):
        return {name: _to_json(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
