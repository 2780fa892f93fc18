"""Cutting what is to be asked into parts that fit one call, and the keys its answer goes by.

A record may be held under another spelling of its key: then all of them are asked for, and each of
them stands for the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from hubspot_sync.portal.identities import normalize_email, spell_email
from hubspot_sync.portal.record_names import is_record_id
from hubspot_sync.wire.storable_text import is_storable

EMAIL: Final = "email"
"""The unique property of contacts."""

_POSSIBLE_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")

V = TypeVar("V")


def chunks(values: Sequence[V], size: int) -> list[Sequence[V]]:
    """Return the values in order, in parts of at most `size` of which none is empty."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def normal_key(key: str, id_property: str | None = None) -> str:
    """Return a key as results are keyed by it: text, trimmed, an e-mail as e-mails are compared.
    The key is a record's id, or the value of its unique property `id_property`."""
    text = str(key).strip()
    return normalize_email(text) if id_property == EMAIL else text


def normal_keys(keys: Iterable[str], id_property: str | None = None) -> tuple[str, ...]:
    """Return the keys as results are keyed by them, each once."""
    return tuple(dict.fromkeys([normal_key(key, id_property) for key in keys]))


def spell_key(key: str, id_property: str | None = None) -> tuple[str, ...]:
    """Return every spelling under which HubSpot may hold a normal key."""
    return spell_email(key) if id_property == EMAIL else (key,)


def split_possible_keys(
    ids: Iterable[str], id_property: str | None
) -> tuple[list[str], frozenset[str]]:
    """Return the ids worth asking for, each once, and those that nothing can have."""
    keys = normal_keys(ids, id_property)
    is_possible = _find_test(id_property)
    possible = [key for key in keys if is_possible(key)]
    return possible, frozenset(keys).difference(possible)


def _find_test(id_property: str | None) -> Callable[[str], bool]:
    if id_property is None:
        return is_record_id
    return _is_email if id_property == EMAIL else _is_value


def _is_email(key: str) -> bool:
    return _POSSIBLE_EMAIL.fullmatch(key) is not None and is_storable(key)


def _is_value(key: str) -> bool:
    return key != "" and is_storable(key)
