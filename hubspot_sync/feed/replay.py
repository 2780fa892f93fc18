"""Applies again what the change journal has told, beside whoever follows it: no offset is moved.

Events that are not in the inbox are put there, those that are have their rows opened anew; then
they are applied like all that wait. So it may be done at any time and any number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from hubspot_sync.batching.chunking import chunks
from hubspot_sync.errors import RateLimited, Unavailable
from hubspot_sync.feed.files import ENTRIES_AT_ONCE, FILES_AT_ONCE, Journal
from hubspot_sync.feed.journal_events import read_files
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.intake import Intake
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile

CALL_WITHIN_S: Final = 30.0
MAX_TRIES: Final = 6
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 60.0

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayProgress:
    """How much was read so far: files; events that are new here, or opened anew; those that mean
    nothing here, and those that cannot be understood. `until` is when the last file was
    published."""

    files: int = 0
    new: int = 0
    opened_anew: int = 0
    ignored: int = 0
    unreadable: int = 0
    until: datetime | None = None


class Replay:
    """Reads one portal's journal once. `pause` waits for so many seconds before another try."""

    def __init__(
        self,
        *,
        journal: Journal,
        portal_id: str,
        profile: PortalProfile,
        intake: Intake,
        inbox: Inbox,
        fan_out: FanOut,
        pause: Callable[[float], object],
    ) -> None:
        self._journal = journal
        self._portal_id = portal_id
        self._profile = profile
        self._intake = intake
        self._inbox = inbox
        self._fan_out = fan_out
        self._pause = pause

    def run(self, offset: str, since: datetime | None) -> Iterator[ReplayProgress]:
        """Put into the inbox all that the journal has after an offset, or from its earliest entry
        where that is empty; without the files that were published before `since`. Yields how far it
        is after every few files.

        Raises OffsetGone for an offset that HubSpot does not know, other HubSpotErrors where it
        does not answer after several tries, and Django's database errors.
        """
        progress = ReplayProgress()
        while True:
            entries = self._read_entries(offset)
            if len(entries) == 0:
                return
            for group in chunks(entries, FILES_AT_ONCE):
                fetch = [partial(self._fetch, entry) for entry in group]
                progress = self._store(progress, self._fan_out.run(fetch), since)
                yield progress
            offset = entries[-1].offset

    def _read_entries(self, offset: str) -> Sequence[JournalEntry]:
        if offset != "":
            return self._try_again(
                lambda deadline: self._journal.read_batch_next(offset, ENTRIES_AT_ONCE, deadline)
            )
        earliest = self._try_again(self._journal.read_earliest)
        return () if earliest is None else (earliest,)

    def _fetch(self, entry: JournalEntry) -> JournalFile:
        return self._try_again(lambda deadline: self._journal.fetch_file(entry, deadline))

    def _store(
        self, progress: ReplayProgress, files: Sequence[JournalFile], since: datetime | None
    ) -> ReplayProgress:
        wanted = [
            file
            for file in files
            if since is None or file.published_at is None or file.published_at >= since
        ]
        reading = read_files(wanted, self._profile, self._portal_id)
        new_events = self._intake.put_off(reading.events)
        stored = self._inbox.store(new_events, WebhookEvent.Source.JOURNAL)
        new = {new_event.event.digest for new_event in stored.new}
        known = {event.digest for event in reading.events if event.digest not in new}
        return ReplayProgress(
            files=progress.files + len(wanted),
            new=progress.new + len(new),
            opened_anew=progress.opened_anew + self._inbox.reopen_known(known),
            ignored=progress.ignored + reading.ignored,
            unreadable=progress.unreadable + reading.unreadable,
            until=reading.published_at or progress.until,
        )

    def _try_again(self, ask: Callable[[Deadline], V]) -> V:
        wait_s = FIRST_PAUSE_S
        for _ in range(MAX_TRIES - 1):
            try:
                return ask(Deadline.after(CALL_WITHIN_S))
            except (RateLimited, Unavailable) as error:
                self._pause(min(max(wait_s, error.retry_after_s or 0.0), MAX_PAUSE_S))
                wait_s *= 2
        return ask(Deadline.after(CALL_WITHIN_S))
