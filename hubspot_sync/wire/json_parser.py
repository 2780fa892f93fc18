"""JSON from outside, read so that one odd value costs itself and not what stands beside it.

HubSpot passes on what people and programs put in: half an emoji, NUL, bytes that are no UTF-8. A
strict parser refuses the whole answer for any of them, a hundred records for one. Here they become
U+FFFD and the rest is read. Texts that come out are storable, and numbers are finite.

Almost every answer is plain, and goes through orjson alone.
"""

from __future__ import annotations

import json
import math
from typing import Final, Never

import orjson

from hubspot_sync.wire.storable_text import make_json_storable

ESCAPED_NUL: Final = b"\\u0000"
"""What orjson reads although it cannot be stored. It refuses the other such things itself."""
BYTE_ORDER_MARK: Final = "\ufeff"


class InvalidJson(ValueError):
    """It is not JSON. The message quotes nothing of it."""


class TooDeeplyNested(InvalidJson):
    """Its lists and objects stand in one another deeper than can be read."""


def parse_json(content: bytes) -> object:
    """Return the JSON value in these bytes; raise InvalidJson, and nothing else.

    A number that no float holds, or of thousands of digits, comes as its text: it stands in
    somebody's record, and must not cost the others theirs.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _parse_leniently(content)
    return _make_storable(value) if ESCAPED_NUL in content else value


def _parse_leniently(content: bytes) -> object:
    """Read what orjson would not; raw control characters in texts too."""
    text = content.decode("utf-8", "replace").removeprefix(BYTE_ORDER_MARK)
    try:
        value = json.loads(
            text,
            strict=False,
            parse_int=_parse_whole_number,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise TooDeeplyNested("The JSON is nested too deeply.") from None
    except ValueError:
        # Without the cause: its text and its document are somebody's data.
        raise InvalidJson("This is not JSON.") from None
    return _make_storable(value)


def _make_storable(value: object) -> object:
    try:
        return make_json_storable(value)
    except RecursionError:
        raise TooDeeplyNested("The JSON is nested too deeply.") from None


def _parse_whole_number(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        # Python refuses more than 4 300 digits: reading them takes time squared.
        return digits


def _parse_float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _refuse_constant(word: str) -> Never:
    """NaN and Infinity are Python's own, and no JSON."""
    raise ValueError(word)
