"""The change journal as whoever follows it sees it: entries by offset, and their files.

Nothing here is tried again beyond a new token and a new address of a file; no offset is kept. An
answer that is none raises Unavailable and never means the end: that is HubSpot's 204 alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import FileUnreadable, NotFound, OffsetGone, Refused, Unavailable
from hubspot_sync.wire.circuit_breaker import CircuitBreaker
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.http_exchange import Sender
from hubspot_sync.wire.journal.entries import (
    JournalEntry,
    JournalFile,
    parse_entries,
    parse_entry,
)
from hubspot_sync.wire.journal.files import EXPIRED, FileFetcher
from hubspot_sync.wire.journal.journal_calls import (
    JournalAnswer,
    JournalCalls,
    JournalObserver,
    JournalOperation,
    JournalRequest,
)

MAX_BATCH: Final = 100
_NO_CONTENT: Final = 204
_OK: Final = 200


class ChangeJournal:
    """One portal's journal; safe for threads. Every method may raise RateLimited, Unavailable or
    Refused; a deadline bounds each call as a whole, renewal of the token included."""

    def __init__(self, config: JournalConfig, calls: JournalCalls, files: FileFetcher) -> None:
        self._root = f"/webhooks-journal/journal-local/{config.dated_version}"
        self._query = {"installPortalId": config.portal_id}
        self._calls = calls
        self._files = files

    def read_earliest(self, deadline: Deadline) -> JournalEntry | None:
        """Return the oldest entry there is; None where the journal is empty."""
        return self._read(JournalOperation.EARLIEST, "/earliest", deadline)

    def read_latest(self, deadline: Deadline) -> JournalEntry | None:
        """Return the newest entry; None where the journal is empty."""
        return self._read(JournalOperation.LATEST, "/latest", deadline)

    def read_next(self, offset: str, deadline: Deadline) -> JournalEntry | None:
        """Return the entry after this offset, None at the journal's end.

        Raises OffsetGone where HubSpot does not know the offset.
        """
        tail = f"/offset/{quote(offset, safe='')}/next"
        try:
            entry = self._read(JournalOperation.NEXT, tail, deadline)
        except NotFound as missing:
            raise _offset_gone(missing) from missing
        if entry is not None and entry.offset == offset:
            raise Unavailable("The change journal answered with the entry it was asked to pass.")
        return entry

    def read_batch_next(
        self, offset: str, count: int, deadline: Deadline
    ) -> tuple[JournalEntry, ...]:
        """Return up to `count` entries after this offset, at most 100, in the journal's order;
        none at its end.

        A batch of which a part failed, or that says nothing, is asked for again as a single entry:
        nobody says which entries it left out. Raises OffsetGone as `read_next` does.
        """
        count = max(1, min(count, MAX_BATCH))
        tail = f"/batch/{quote(offset, safe='')}/next/{count}"
        try:
            answer = self._ask(JournalOperation.BATCH_NEXT, "GET", tail, deadline)
        except NotFound as missing:
            raise _offset_gone(missing) from missing
        if answer.status == _NO_CONTENT:
            return ()
        entries = parse_entries(answer.body) if _is_whole(answer) else None
        if not entries or any(entry.offset == offset for entry in entries):
            entry = self.read_next(offset, deadline)
            return () if entry is None else (entry,)
        return entries

    def fetch_file(self, entry: JournalEntry, deadline: Deadline) -> JournalFile:
        """Return what is in an entry's file. Where its address has expired, the entry is asked for
        again, once.

        Raises FileUnreadable where there is no file that can be read, Unavailable where it may
        come later.
        """
        try:
            return self._files.fetch(entry, deadline)
        except FileUnreadable as unreadable:
            if unreadable.reason != EXPIRED:
                raise
        return self._files.fetch(self._read_again(entry, deadline), deadline)

    def close(self) -> None:
        """Close the idle connections."""
        self._calls.close()

    def _read_again(self, entry: JournalEntry, deadline: Deadline) -> JournalEntry:
        body = {"inputs": [entry.offset]}
        try:
            answer = self._ask(
                JournalOperation.BATCH_READ, "POST", "/batch/read", deadline, body=body
            )
        except (NotFound, Refused) as error:
            # Nothing is known of the offset before it, which whoever follows goes on from.
            raise _no_other_address(error.status) from error
        entries = parse_entries(answer.body) or ()
        again = next((each for each in entries if each.offset == entry.offset), None)
        if again is None:
            raise _no_other_address(answer.status)
        return again

    def _read(
        self, operation: JournalOperation, tail: str, deadline: Deadline
    ) -> JournalEntry | None:
        answer = self._ask(operation, "GET", tail, deadline)
        if answer.status == _NO_CONTENT:
            return None
        entry = parse_entry(answer.body) if answer.status == _OK else None
        if entry is None:
            raise Unavailable("The change journal's answer has no entry.", status=answer.status)
        return entry

    def _ask(
        self,
        operation: JournalOperation,
        method: str,
        tail: str,
        deadline: Deadline,
        *,
        body: dict[str, list[str]] | None = None,
    ) -> JournalAnswer:
        request = JournalRequest(
            operation=operation,
            method=method,
            path=self._root + tail,
            query=self._query,
            body=body,
        )
        return self._calls.call(request, deadline)


def build_journal_calls(
    config: JournalConfig,
    *,
    observers: Sequence[JournalObserver] = (),
    clock: Monotonic = time.monotonic,
    sender: Sender | None = None,
) -> JournalCalls:
    """Return calls that have opened nothing yet; `sender` puts them on the wire, without it a pool
    of connections of their own."""
    circuit_breaker = CircuitBreaker(
        failures=config.breaker_failures,
        cooldown_s=config.breaker_cooldown_s,
        clock=clock,
        about="change journal",
    )
    return JournalCalls(
        config, circuit_breaker=circuit_breaker, observers=observers, clock=clock, sender=sender
    )


def build_change_journal(config: JournalConfig, calls: JournalCalls) -> ChangeJournal:
    """Return the journal of the configured portal."""
    return ChangeJournal(config, calls, FileFetcher(config, calls.tell))


def _is_whole(answer: JournalAnswer) -> bool:
    return answer.status == _OK and not answer.body.get("errors")


def _no_other_address(status: int | None) -> FileUnreadable:
    return FileUnreadable(
        "A file's address has expired, and the change journal gives no other.",
        reason=EXPIRED,
        status=status,
    )


def _offset_gone(missing: NotFound) -> OffsetGone:
    return OffsetGone(
        "The change journal does not know this offset.",
        status=missing.status,
        category=missing.category,
        correlation_id=missing.correlation_id,
    )
