"""Text that every database, JSON column and encoder takes.

Two things in a Python text are refused somewhere: half a surrogate pair, which software that cuts
by UTF-16 units leaves behind and UTF-8 cannot hold, and NUL, which PostgreSQL takes in no text and
no JSON column (hubspot-facts, "What values really look like"). Each becomes U+FFFD, the sign for a
character that was lost; everything else stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

LOST: Final = "\ufffd"

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Return whether the text can be stored as it is."""
    return _UNSTORABLE.search(text) is None


def make_storable(text: str) -> str:
    """Return the text with U+FFFD for each half surrogate and each NUL."""
    return _UNSTORABLE.sub(LOST, text)


def make_json_storable(value: object) -> object:
    """Return a decoded JSON value whose texts, the keys of objects among them, are storable.

    Raises RecursionError for one nested deeper than Python's stack; `parse_json` gives none.
    """
    if isinstance(value, str):
        return make_storable(value)
    if isinstance(value, Mapping):
        return {make_storable(str(key)): make_json_storable(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [make_json_storable(item) for item in value]
    return value


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Return the body as JSON; what UTF-8 cannot hold is lost, and not the others' batch."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return orjson.dumps(make_json_storable(body))
