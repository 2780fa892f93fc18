"""The change journal for tests: a client of ours, pointed at a sandbox or at a server of a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hubspot_sync.config import JournalConfig
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.journal.change_journal import (
    ChangeJournal,
    build_change_journal,
    build_journal_calls,
)
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile, SignedAddress
from hubspot_sync.wire.journal.files import FileFetcher
from hubspot_sync.wire.journal.journal_calls import JournalCall, JournalCalls

CLIENT_SECRET = "sandbox-client-secret"
PORTAL_ID = "62515"
SECRET_QUERY = "X-Amz-Signature=abcdef0123456789"
EMPTY_FILE = b'{"offset":"o","publishedAt":"2026-11-26T10:00:00Z","journalEvents":[]}'


def journal_config(base_url: str, **changes: Any) -> JournalConfig:
    given: dict[str, Any] = {
        "base_url": base_url,
        "client_id": "sandbox-client",
        "client_secret": CLIENT_SECRET,
        "portal_id": PORTAL_ID,
        "allow_private_files": True,
    }
    return JournalConfig(**{**given, **changes})


@contextmanager
def journal_calls_of(
    base_url: str,
    *,
    told: list[JournalCall] | None = None,
    clock: Monotonic = time.monotonic,
    **changes: Any,
) -> Iterator[JournalCalls]:
    """Calls of their own, closed at the end; `told` takes each call that was made."""
    observers = [] if told is None else [told.append]
    calls = build_journal_calls(
        journal_config(base_url, **changes), observers=observers, clock=clock
    )
    try:
        yield calls
    finally:
        calls.close()


@contextmanager
def journal_of(base_url: str, **options: Any) -> Iterator[ChangeJournal]:
    """A journal of its own; options are those of `journal_calls_of`."""
    changes = {name: each for name, each in options.items() if name not in ("told", "clock")}
    with journal_calls_of(base_url, **options) as calls:
        yield build_change_journal(journal_config(base_url, **changes), calls)


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline.after(seconds)


def first_entry(journal: ChangeJournal) -> JournalEntry:
    entry = journal.read_earliest(soon())
    assert entry is not None
    return entry


def entry_at(address: str) -> JournalEntry:
    return JournalEntry(offset="o", address=SignedAddress(address), expires_at=None)


def fetch(address: str, *addresses: str, **changes: object) -> JournalFile:
    """Fetch from an address whose name has these addresses of the network."""
    config = journal_config("http://127.0.0.1:1", **changes)
    fetcher = FileFetcher(config, lambda _call: None, resolve=lambda _host, _port: [*addresses])
    return fetcher.fetch(entry_at(address), soon())
