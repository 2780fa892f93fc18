"""The journal itself: events become files, files entries, and after three days they are gone.

Nothing runs by itself. Whoever reads first lets everything be published that is due by then, in
files of what came close together; so the sandbox's clock alone decides, and tests move it.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import random
import secrets
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hubspot_sync.sandbox.clock import Clock, iso
from hubspot_sync.sandbox.config import JournalConfig, LiveConfig
from hubspot_sync.sandbox.data.records import Change
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.journal.events import Event, events_of, join_event
from hubspot_sync.sandbox.journal.subscriptions import Subscriptions

BYTES_AROUND = 200
"""What a file has beside its events."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One published file."""

    number: int
    offset: str
    at_ms: int
    events: tuple[Event, ...]

    def content(self) -> bytes:
        body = {
            "offset": self.offset,
            "publishedAt": iso(self.at_ms),
            "journalEvents": list(self.events),
        }
        return json.dumps(body).encode()


@dataclass(slots=True)
class _Waiting:
    """An event on its way, and when it is due."""

    due_ms: int
    event: Event


class Journal:
    """All entries of one portal; safe for threads. `base_url` is where its files can be fetched."""

    def __init__(
        self, store: Store, clock: Clock, live: LiveConfig, *, random_seed: int = 1
    ) -> None:
        self.subscriptions = Subscriptions(clock, live)
        self.base_url = ""
        self._store = store
        self._clock = clock
        self._live = live
        self._chance = random.Random(random_seed)
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._entries: deque[Entry] = deque()
        self._numbers: dict[str, int] = {}
        self._published = 0
        self._lost = 0
        store.subscribe(self._take_note)

    def forget(self) -> None:
        """Begin anew: no entry, no subscription, no offset that anybody had."""
        self.subscriptions.clear()
        with self._lock:
            self._waiting.clear()
            self._entries.clear()
            self._numbers.clear()
            self._published = self._lost = 0

    def append(self, events: list[Event]) -> Entry:
        """Publish a file with these events as they are, now."""
        with self._lock:
            self._publish_due()
            return self._add(self._clock.now_ms(), tuple(events))

    def entries(self) -> list[Entry]:
        """All that can be read now, oldest first."""
        with self._lock:
            self._publish_due()
            return list(self._entries)

    def after(self, offset: str) -> list[Entry] | None:
        """All entries after an offset; None where the offset is not known, or not any more."""
        with self._lock:
            self._publish_due()
            number = self._numbers.get(offset)
            oldest = self._entries[0].number if self._entries else self._published + 1
            # An offset whose own entry is gone; the next one may be there still.
            quiet = self._live.journal.quiet_offsets == "kept" and number == oldest - 1
            if number is None or (number < oldest and not quiet):
                return None
            return [entry for entry in self._entries if entry.number > number]

    def find(self, offset: str) -> Entry | None:
        return next((entry for entry in self.entries() if entry.offset == offset), None)

    def counts(self) -> dict[str, int]:
        """Entries that can be read, events that are not due yet, events lost on purpose."""
        with self._lock:
            self._publish_due()
            return {
                "entries": len(self._entries),
                "pending": len(self._waiting),
                "lost": self._lost,
            }

    # Files -------------------------------------------------------------------------------------

    def address_of(self, entry: Entry) -> tuple[str, int]:
        """A signed address for an entry's file, and until when it holds, in milliseconds."""
        until_ms = self._clock.now_ms() + int(self._live.journal.address_s * 1000)
        query = urlencode(
            {
                "X-Amz-Expires-At": until_ms,
                "X-Amz-Signature": self._sign(entry.offset, until_ms),
            }
        )
        base_url = self._live.journal.address_base or self.base_url
        return f"{base_url}/journal-files/{entry.offset}.json?{query}", until_ms

    def open_file(self, offset: str, until: str, signature: str) -> bytes | None:
        """A file's bytes; None where the address does not hold, or not any more."""
        if not until.isascii() or not until.isdigit():
            return None
        expected = self._sign(offset, int(until))
        if not hmac.compare_digest(expected, signature) or int(until) < self._clock.now_ms():
            return None
        entry = self.find(offset)
        if entry is None:
            return None
        content = entry.content()
        return gzip.compress(content) if self._live.journal.gzip else content

    def _sign(self, offset: str, until_ms: int) -> str:
        return hmac.new(self._key, f"{offset}:{until_ms}".encode(), hashlib.sha256).hexdigest()

    # Publishing --------------------------------------------------------------------------------

    def _take_note(self, change: Change) -> None:
        config = self._live.journal
        found = list(events_of(change, self._store, self.subscriptions, config))
        due_ms = self._clock.now_ms() + int(config.delay_s * 1000)
        with self._lock:
            for event in found:
                if join_event(self._waiting[-1].event if self._waiting else None, event):
                    continue
                if self._chance.random() < config.lose:
                    self._lost += 1
                    continue
                self._waiting.append(_Waiting(due_ms, event))
                if self._chance.random() < config.duplicate:
                    self._waiting.append(_Waiting(due_ms, dict(event)))

    def _publish_due(self) -> None:
        """Make entries of what is due, and forget those that are too old."""
        config, now_ms = self._live.journal, self._clock.now_ms()
        while self._waiting and self._waiting[0].due_ms <= now_ms:
            at_ms, events = self._take_file(config, now_ms)
            self._add(at_ms, events)
        while self._entries and self._entries[0].at_ms <= now_ms - config.kept_s * 1000:
            self._entries.popleft()

    def _take_file(self, config: JournalConfig, now_ms: int) -> tuple[int, tuple[Event, ...]]:
        """Take the events of one file off the queue: close together, and not too many."""
        first_ms = self._waiting[0].due_ms
        taken: list[Event] = []
        size, at_ms = BYTES_AROUND, first_ms
        while self._waiting and len(taken) < max(1, config.file_events):
            ahead = self._waiting[0]
            more = len(json.dumps(ahead.event)) + 2
            too_late = ahead.due_ms > min(now_ms, first_ms + config.file_gap_s * 1000)
            if too_late or (taken and size + more > config.file_bytes):
                break
            size, at_ms = size + more, ahead.due_ms
            taken.append(self._waiting.popleft().event)
        return at_ms, tuple(taken)

    def _add(self, at_ms: int, events: tuple[Event, ...]) -> Entry:
        self._published += 1
        entry = Entry(self._published, str(uuid.uuid4()), at_ms, events)
        self._entries.append(entry)
        self._numbers[entry.offset] = entry.number
        return entry


def render(entry: Entry, journal: Journal) -> dict[str, Any]:
    """An entry as HubSpot writes it."""
    url, until_ms = journal.address_of(entry)
    return {"url": url, "expiresAt": iso(until_ms), "currentOffset": entry.offset}
