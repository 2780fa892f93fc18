"""The journal's files, fetched several at a time, in the order of their entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from hubspot_sync.errors import HubSpotError
from hubspot_sync.feed.file_trouble import FailedFile
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile

ENTRIES_AT_ONCE: Final = 100
FILES_AT_ONCE: Final = 10
"""Fetched at the same time; each may have 10 000 events."""


class Journal(Protocol):
    """The change journal, as `wire.journal.change_journal` reads it."""

    def read_earliest(self, deadline: Deadline) -> JournalEntry | None: ...
    def read_latest(self, deadline: Deadline) -> JournalEntry | None: ...
    def read_next(self, offset: str, deadline: Deadline) -> JournalEntry | None: ...
    def read_batch_next(
        self, offset: str, count: int, deadline: Deadline
    ) -> tuple[JournalEntry, ...]: ...
    def fetch_file(self, entry: JournalEntry, deadline: Deadline) -> JournalFile: ...


class FileFetcher:
    """Fetches one journal's files."""

    def __init__(self, journal: Journal, fan_out: FanOut) -> None:
        self._journal = journal
        self._fan_out = fan_out

    def fetch(
        self, entries: Sequence[JournalEntry], deadline: Deadline
    ) -> tuple[list[JournalFile], FailedFile | None]:
        """Return the entries' files in their order, up to the first that cannot be read, and that
        one."""
        files: list[JournalFile] = []
        all_fetched = self._fan_out.run(
            [partial(self._try_fetch, entry, deadline) for entry in entries]
        )
        for entry, fetched in zip(entries, all_fetched, strict=True):
            if isinstance(fetched, HubSpotError):
                others_come = any(isinstance(each, JournalFile) for each in all_fetched)
                return files, FailedFile(entry.offset, fetched, others_come=others_come)
            files.append(fetched)
        return files, None

    def _try_fetch(self, entry: JournalEntry, deadline: Deadline) -> JournalFile | HubSpotError:
        try:
            return self._journal.fetch_file(entry, deadline)
        except HubSpotError as error:
            return error


def group_by_events(files: Sequence[JournalFile], at_most: int) -> Iterator[list[JournalFile]]:
    """Yield the files in their order, in groups of at most so many events, or of one file."""
    group: list[JournalFile] = []
    for file in files:
        number = sum(len(each.events) for each in group)
        if len(group) > 0 and number + len(file.events) > at_most:
            yield group
            group = []
        group.append(file)
    if len(group) > 0:
        yield group
