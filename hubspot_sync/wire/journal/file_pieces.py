"""A file that is no JSON as a whole, because one of its events is none: the others are read.

Only where the pieces begin and end is looked at: texts and brackets. A file that ends before its
list of events does is not cut short, it is none: what came after is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hubspot_sync.wire.json_parser import InvalidJson, parse_json

EVENTS_AT: Final = re.compile(rb'"journalEvents"\s*:\s*\[')
# A text that does not end is one up to the content's end: else each quote within would be tried as
# the beginning of another, and the time for a file that was cut in a long text is its square.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def parse_in_pieces(content: bytes) -> dict[str, object] | None:
    """Return the file with None in place of each event that is no JSON; None where its pieces
    cannot be told apart either."""
    begins = EVENTS_AT.search(content)
    if begins is None:
        return None
    pieces: list[object] = []
    end = begins.end()
    for start, end, closed in _pieces_of(content, begins.end()):
        if content[start:end].strip():
            pieces.append(_parse_or_none(content[start:end]))
        if closed:
            break
    else:
        return None
    rest = _parse_or_none(content[: begins.end()] + content[end:])
    return {**rest, "journalEvents": pieces} if isinstance(rest, dict) else None


def _pieces_of(content: bytes, start: int) -> Iterator[tuple[int, int, bool]]:
    """Yield where each element of a list begins and ends, and whether the list ends with it."""
    depth = 0
    for token in _TOKEN.finditer(content, start):
        sign = token.group()
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            if depth == 0:
                yield start, token.start(), True
                return
            depth -= 1
        elif sign == b"," and depth == 0:
            yield start, token.start(), False
            start = token.end()


def _parse_or_none(piece: bytes) -> object:
    try:
        return parse_json(piece)
    except InvalidJson:
        return None
