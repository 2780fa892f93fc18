"""Writes the line of each request: most of it once, and then again only what differs.

Each line has the same fields, and most of their values are those of thousands of others. So the
text of a kind of line is made once, by what writes all lines, with marks in place of what differs;
patterns are looked for in it then. Of each line only the rest is looked through for what may not be
logged. Where there is something to mask, or might be, the line goes the way of all others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import structlog

from booking_api.ops.logs.configuration import RecordFactory, WrittenRecord, write_json
from booking_api.ops.logs.request_line import (
    RequestKind,
    ServedRequest,
    describe_kind,
    describe_request,
    kind_of,
)
from booking_api.ops.redaction import PLAIN, are_clean, find_own_texts

EVENT: Final = "request"
MAX_KINDS: Final = 256
MAX_METHOD_CHARS: Final = 16
"""Callers may send others than there are; long ones are not kept."""
# A kind with a NUL in it goes the way of all lines.
TOOK, CALLS, ITEMS, REQUEST_ID, TIMESTAMP = "\0took", "\0calls", "\0items", "\0id", "\0time"
PLACES: Final[Mapping[str, str]] = {
    TOOK: "%(took_ms)s",
    CALLS: "%(hubspot_calls)s",
    ITEMS: "%(items)s",
    REQUEST_ID: '"%(request_id)s"',
    TIMESTAMP: '"%(timestamp)s"',
}
"""What is written in place of each mark; neither text has a letter that JSON would write
otherwise."""


class Form(NamedTuple):
    """A kind of line: its JSON, to be filled in, and the texts in it, None where a pattern finds
    something in them, or a mark might."""

    line: str
    texts: str | None


class RequestLog:
    """Writes the lines under a logger's name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger = logging.getLogger(name)
        self._log = structlog.get_logger(name)
        self._recall_form = lru_cache(maxsize=MAX_KINDS)(self._make_form)

    def write(self, served: ServedRequest) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        record = self._make_record(served)
        if record is None:
            self._log.info(EVENT, **describe_request(served))
        else:
            self._logger.handle(record)

    def _make_record(self, served: ServedRequest) -> WrittenRecord | None:
        """Return the line, None where it may hold what has to be masked."""
        factory, request_id = logging.getLogRecordFactory(), served.request_id
        if not isinstance(factory, RecordFactory) or len(served.method) > MAX_METHOD_CHARS:
            return None
        if not request_id.isascii() or PLAIN.fullmatch(request_id) is None:
            return None
        form, timestamp = (
            self._recall_form(kind_of(served)),
            write_timestamp(time.time_ns() // 1_000),
        )
        if form.texts is None:
            return None
        if not factory.redaction.leaves(f"{form.texts}\n{request_id}\n{timestamp}"):
            return None
        event = describe_request(served)
        line = form.line % {
            "took_ms": event["took_ms"],
            "hubspot_calls": served.hubspot_calls,
            "items": served.items,
            "request_id": request_id,
            "timestamp": timestamp,
        }
        return WrittenRecord(
            self._name, logging.INFO, self._complete(event, request_id, timestamp), line
        )

    def _complete(self, event: dict[str, Any], request_id: str, timestamp: str) -> dict[str, Any]:
        """Add what the processors of `configuration.py` add to each event, in their order."""
        event["event"] = EVENT
        event["request_id"] = request_id
        event["logger"] = self._name
        event["level"] = "info"
        event["timestamp"] = timestamp
        return event

    def _make_form(self, kind: RequestKind) -> Form:
        if any("\0" in str(said) for said in kind):
            return Form("", None)
        described = describe_kind(
            kind, took_ms=TOOK, hubspot_calls=CALLS, items=ITEMS, request_id=REQUEST_ID
        )
        event = self._complete(described, REQUEST_ID, TIMESTAMP)
        line = write_json(event).replace("%", "%%")
        for mark, place in PLACES.items():
            line = line.replace(write_json(mark), place)
        texts = find_own_texts(event)
        marks = set(PLACES)
        static = [text for text in texts or () if text not in marks]
        return Form(line, "\n".join(static) if texts is not None and are_clean(static) else None)


def write_timestamp(now_us: int) -> str:
    """Return a time, in microseconds since 1970, as structlog's TimeStamper writes it."""
    second, microsecond = divmod(now_us, 1_000_000)
    whole = write_second(second)
    return f"{whole}.{microsecond:06}Z" if microsecond else f"{whole}Z"


@lru_cache(maxsize=4)
def write_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
