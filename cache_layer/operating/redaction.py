"""What people are told about keys and values: short, and without e-mails.

Reports and logs name fields and show numbers; whole values are shown only by the look-up of the
cache page, to staff who asked for that one key, and their texts only to those who may see personal
data.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pprint import pformat
from typing import Any

import msgspec

MAX_DIFFERENCES = 5
MASK = "•••"
# From the start of a segment alone: tried from each letter of a long text, it would take minutes.
_EMAIL = re.compile(r"(?<![^:/\s])[^:/\s]*@[^:/\s]*")
_SHOWN_AS_THEY_ARE = (bool, int, float, Decimal, type(None))


def mask_emails(text: str) -> str:
    """Return a key, a tag or a pattern with `…@…` for each e-mail in it."""
    return _EMAIL.sub("…@…", text)


def mask_texts(value: Any) -> Any:
    """Return a value's shape: names, numbers and switches, and `•••` for every text that is not
    empty and whatever else might say who somebody is."""
    plain = _to_plain(value)
    if isinstance(plain, Mapping):
        return {mask_emails(str(name)): mask_texts(held) for name, held in plain.items()}
    if isinstance(plain, list | tuple | set | frozenset):
        return [mask_texts(item) for item in plain]
    return plain if plain == "" or isinstance(plain, _SHOWN_AS_THEY_ARE) else MASK


def describe_difference(held: Any, fresh: Any) -> str:
    """Return in a few words where two values differ: the names of what changed, and from what to
    what only where that is a number or a switch."""
    found = list(_find_differences(_to_plain(held), _to_plain(fresh), ""))
    more = len(found) - MAX_DIFFERENCES
    return ", ".join(found[:MAX_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def format_value(value: Any) -> str:
    """Return a whole value as text to be read by a person."""
    try:
        return json.dumps(_to_plain(value), indent=2, ensure_ascii=False, default=str)
    except (TypeError, ValueError):  # keys that are no strings, or a value that holds itself
        return pformat(value)


def _to_plain(value: Any) -> Any:
    """Return a dataclass or a struct as a mapping of what it is compared by, and rendered JSON as
    its value."""
    if isinstance(value, bytes):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        compared = (field.name for field in dataclasses.fields(value) if field.compare)
        return {name: getattr(value, name) for name in compared}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return value


def _find_differences(held: Any, fresh: Any, path: str) -> Iterator[str]:
    if held == fresh:
        return
    if isinstance(held, Mapping) and isinstance(fresh, Mapping):
        for name in dict.fromkeys([*held, *fresh]):
            inner = mask_emails(f"{path}.{name}" if path else str(name))
            yield from _find_differences(
                _to_plain(held.get(name)), _to_plain(fresh.get(name)), inner
            )
    elif isinstance(held, list | tuple) and isinstance(fresh, list | tuple):
        yield from _find_in_sequences(held, fresh, path)
    elif isinstance(held, _SHOWN_AS_THEY_ARE) and isinstance(fresh, _SHOWN_AS_THEY_ARE):
        yield f"{path or 'value'} {held} → {fresh}"
    else:
        yield path or "value"


def _find_in_sequences(held: Collection[Any], fresh: Collection[Any], path: str) -> Iterator[str]:
    if len(held) != len(fresh):
        yield f"{path or 'value'} {len(held)} → {len(fresh)} items"
        return
    for index, (held_item, fresh_item) in enumerate(zip(held, fresh, strict=True)):
        yield from _find_differences(
            _to_plain(held_item), _to_plain(fresh_item), f"{path}[{index}]"
        )
