"""What callers send, checked against a serializer's fields.

DRF copies every field of a serializer for each new instance, which costs more than the check itself.
A serializer that only checks keeps nothing between two uses, so one of each kind serves everybody.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from rest_framework.serializers import Serializer


def checked(kind: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the values of the fields of `kind` in `data`; raise ValidationError."""
    values: dict[str, Any] = _checker(kind).run_validation(data)
    return values


@cache
def _checker(kind: type[Serializer[Any]]) -> Serializer[Any]:
    return kind()
