"""What the change journal tells: an entry, where its file is, and what is in the file.

Forms as hubspot-facts has them ("The change journal"). An entry that is none makes the whole answer
none, so that no offset is passed over; a single event that is none costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from hubspot_sync.wire.verdicts import JsonObject

# A UUID, but that is not promised; it becomes a part of a path, which dots alone would change.
_OFFSET: Final = re.compile(r"[A-Za-z0-9_+/=-][!-~]{0,199}")
MAX_ADDRESS_CHARS: Final = 16_384


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """Where a file can be had by whoever knows this. Its query is a credential: it is shown
    nowhere, and `reveal` is for the one who fetches."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        return self._text


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """One entry: its offset, where its file is, and until when that can be fetched; None where that
    was not understood."""

    offset: str
    address: SignedAddress
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalFile:
    """An entry's file: its entry's offset, when HubSpot published it (None where that was not
    understood), its events in HubSpot's order, and how many more were no JSON objects.

    An event is as it came: texts can be stored and numbers are finite, nothing else is promised.
    """

    offset: str
    published_at: datetime | None
    events: tuple[JsonObject, ...]
    unreadable: int = 0


def parse_entry(body: object) -> JournalEntry | None:
    """Return the entry in an answer, None where there is none."""
    if not isinstance(body, Mapping):
        return None
    offset, url = body.get("currentOffset"), body.get("url")
    if not isinstance(offset, str) or _OFFSET.fullmatch(offset) is None:
        return None
    if not isinstance(url, str) or not 0 < len(url) <= MAX_ADDRESS_CHARS:
        return None
    return JournalEntry(
        offset=offset,
        address=SignedAddress(url),
        expires_at=parse_instant(body.get("expiresAt")),
    )


def parse_entries(body: JsonObject) -> tuple[JournalEntry, ...] | None:
    """Return a batch's entries, None where any of them is none or comes twice."""
    listed = body.get("results")
    if not isinstance(listed, list):
        return None
    entries = [parse_entry(each) for each in listed]
    whole = tuple(entry for entry in entries if entry is not None)
    if len(whole) < len(listed) or len({entry.offset for entry in whole}) < len(whole):
        return None
    return whole


def parse_file(entry: JournalEntry, body: object) -> JournalFile | None:
    """Return what is in an entry's file, None where it is no journal's file."""
    if not isinstance(body, Mapping):
        return None
    listed = body.get("journalEvents")
    if not isinstance(listed, list):
        return None
    events = tuple(event for event in listed if isinstance(event, Mapping))
    return JournalFile(
        offset=entry.offset,
        published_at=parse_instant(body.get("publishedAt")),
        events=events,
        unreadable=len(listed) - len(events),
    )


def parse_instant(value: object) -> datetime | None:
    """Return an instant given as an ISO text with its zone, or in milliseconds since 1970; None
    where it is neither."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            instant = datetime.fromisoformat(value)
            return instant.astimezone(UTC) if instant.tzinfo is not None else None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
