"""What callers send, checked against a serializer's fields.

DRF copies every field of a serializer for each new instance, which costs more than the check itself.
A serializer that only checks keeps nothing between two uses, so one of each kind serves everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from rest_framework.serializers import Serializer

QUERIES_KEPT = 4096


def checked(kind: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the values of the fields of `kind` in `data`; raise ValidationError."""
    values: dict[str, Any] = _checker(kind).run_validation(data)
    return values


def checked_query(kind: type[Serializer[Any]], query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the same for a query string's texts, which the same callers send again and again; what
    was refused is not remembered."""
    return _checked_query(kind, tuple(query.items()))


@lru_cache(maxsize=QUERIES_KEPT)
def _checked_query(
    kind: type[Serializer[Any]], items: tuple[tuple[str, str], ...]
) -> Mapping[str, Any]:
    return MappingProxyType(checked(kind, dict(items)))


@cache
def _checker(kind: type[Serializer[Any]]) -> Serializer[Any]:
    return kind()
