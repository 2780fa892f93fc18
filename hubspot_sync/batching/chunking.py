"""Cutting what is to be asked into parts that fit one call, and the keys its answer goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

V = TypeVar("V")


def chunks(values: Sequence[V], size: int) -> list[Sequence[V]]:
    """Return the values in order, in parts of at most `size` of which none is empty."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def normal_key(key: str, id_property: str | None = None) -> str:
    """Return a key as results are keyed by it: text, trimmed, an e-mail in lower case. The key is
    a record's id, or the value of its unique property `id_property`."""
    text = str(key).strip()
    return text.lower() if id_property == "email" else text
