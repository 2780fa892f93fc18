"""Cutting what is to be asked into parts that fit one call, and the keys its answer goes by.

A record may be held under another spelling of its key: then all of them are asked for, and each of
them stands for the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from hubspot_sync.portal.identities import normalize_email, spell_email

EMAIL: Final = "email"
"""The unique property of contacts."""

V = TypeVar("V")


def chunks(values: Sequence[V], size: int) -> list[Sequence[V]]:
    """Return the values in order, in parts of at most `size` of which none is empty."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def normal_key(key: str, id_property: str | None = None) -> str:
    """Return a key as results are keyed by it: text, trimmed, an e-mail as e-mails are compared.
    The key is a record's id, or the value of its unique property `id_property`."""
    text = str(key).strip()
    return normalize_email(text) if id_property == EMAIL else text


def spell_key(key: str, id_property: str | None = None) -> tuple[str, ...]:
    """Return every spelling under which HubSpot may hold a normal key."""
    return spell_email(key) if id_property == EMAIL else (key,)
