"""Follows the change journal: reads what is new, drops what it outdates, stores it, and confirms.

One step at a time, by whoever holds the feed's lease. The tags go first; then the events and the
new offset are stored in one transaction, which takes place only under the lease and moves the
offset only from the value that was read. So whoever is killed anywhere reads the same again, which
drops the same once more and stores nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from cache_layer import BackendUnavailable
from hubspot_sync.background.backoff import backoff
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.errors import HubSpotError, OffsetGone
from hubspot_sync.feed.delays import OwnWrites
from hubspot_sync.feed.file_trouble import FailedFile, FileTrouble
from hubspot_sync.feed.files import (
    ENTRIES_AT_ONCE,
    FILES_AT_ONCE,
    FileFetcher,
    Journal,
    group_by_events,
)
from hubspot_sync.feed.intervals import GrowingInterval
from hubspot_sync.feed.journal_events import JournalReading, read_files
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import EpochReason, FeedHappening, FeedObservers
from hubspot_sync.feed.positions import FeedLease, Positions
from hubspot_sync.feed.proof import MAX_EPOCH_S, MIN_EPOCH_S, FeedProof
from hubspot_sync.inbox.inbox import Inbox, NewEvent
from hubspot_sync.inbox.intake import Intake
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile

log = structlog.get_logger(__name__)

POLL_S: Final = 0.7
STEP_WITHIN_S: Final = 6.0
FILES_WITHIN_S: Final = 8.0
"""Of those fetched at the same time. Together with the step less than the lease's 15 s."""
MAX_EVENTS_AT_ONCE: Final = 2_000
"""Dropped together; no more files are read before what so many say is stored."""
MAX_EVENTS_TOGETHER: Final = 10_000
"""Stored in one transaction, unless a single file has more; well within the time of a lease."""
FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0
MAX_RETRY_AFTER_S: Final = 300.0
RETENTION: Final = timedelta(days=3)
RETENTION_MARGIN: Final = timedelta(hours=1)
NOTE_END_EVERY: Final = timedelta(seconds=30)


class FeedReader:
    """Follows one portal's journal, in one thread. `wake_applier` is called when something was
    stored that is left to be applied."""

    def __init__(
        self,
        *,
        journal: Journal,
        portal_id: str,
        profile: PortalProfile,
        intake: Intake,
        inbox: Inbox,
        positions: Positions,
        proof: FeedProof,
        own_writes: OwnWrites,
        fan_out: FanOut,
        observers: FeedObservers,
        wake_applier: Callable[[], None],
        now: Callable[[], datetime],
        clock: Monotonic,
    ) -> None:
        self._journal = journal
        self._portal_id = portal_id
        self._profile = profile
        self._intake = intake
        self._inbox = inbox
        self._positions = positions
        self._proof = proof
        self._own_writes = own_writes
        self._files = FileFetcher(journal, fan_out)
        self._observers = observers
        self._wake_applier = wake_applier
        self._now = now
        self._clock = clock
        self._is_behind = True
        self._failures = 0
        self._caught_up_at: datetime | None = None
        self._file_trouble = FileTrouble(clock)
        self._since_loss = GrowingInterval(first_s=MIN_EPOCH_S, max_s=MAX_EPOCH_S, clock=clock)

    def step(self, lease: FeedLease) -> float:
        """Read some of what is new; return for how many seconds to rest. Never raises for the
        journal, HubSpot or the cache; raises Django's database errors, PositionMoved, TermPassed,
        and what the lease raises where it is lost."""
        try:
            rest_s = self._follow(lease)
        except HubSpotError as error:
            return self._fail(error.safe_text, error.retry_after_s)
        except BackendUnavailable:
            return self._fail("The cache does not answer.", None)
        self._failures = 0
        return rest_s

    def _follow(self, lease: FeedLease) -> float:
        deadline = Deadline.after(STEP_WITHIN_S)
        position = self._positions.load()
        if position is None:
            self._begin(lease, deadline)
            return 0.0
        asked_at = self._now()
        # Before the journal is asked: what it then has no more of, had not happened before.
        clock_ms = self._prepare(position, lease)
        try:
            entries = self._read_entries(position, deadline)
        except OffsetGone as gone:
            self._find_way_on(gone, position, lease, deadline)
            return 0.0
        if len(entries) == 0:
            self._rest_at_end(position, lease, clock_ms, asked_at)
            return POLL_S
        self._is_behind = True
        self._take_in(position, entries, lease, deadline)
        return 0.0

    def _begin(self, lease: FeedLease, deadline: Deadline) -> None:
        """Begin where the journal is now. What another app's or portal's told since we looked there
        last is unknown, as after a lost offset."""
        latest = self._journal.read_latest(deadline)
        lost_at = None
        if self._positions.knows_other_source():
            log.error("feed_source_changed")
            self._observers.notify(FeedHappening.OFFSET_LOST)
            self._proof.drop_for_another_source(lease)
            lost_at = self._now()
        self._own_writes.forget()
        # Where it is empty, `earliest` is asked: `latest` would jump over what comes first.
        offset = "" if latest is None else latest.offset
        self._positions.begin(lease, offset, lost_at=lost_at)

    def _prepare(self, position: FeedPosition, lease: FeedLease) -> int | None:
        """As the proof's; an unanswering cache is no reason not to read: the inbox keeps what it
        has not heard of."""
        try:
            return self._proof.prepare(position, lease)
        except BackendUnavailable:
            return None

    def _read_entries(self, position: FeedPosition, deadline: Deadline) -> Sequence[JournalEntry]:
        if position.offset != "" and self._is_behind:
            return self._journal.read_batch_next(position.offset, ENTRIES_AT_ONCE, deadline)
        if position.offset != "":
            entry = self._journal.read_next(position.offset, deadline)
        else:
            entry = self._journal.read_earliest(deadline)
        return () if entry is None else (entry,)

    def _rest_at_end(
        self,
        position: FeedPosition,
        lease: FeedLease,
        clock_ms: int | None,
        asked_at: datetime,
    ) -> None:
        self._is_behind = False
        self._caught_up_at = asked_at
        self._observers.notify(FeedHappening.AT_END)
        overdue = self._own_writes.find_overdue(asked_at)
        if not self._proof.awaits_own_writes:
            overdue = None
        if overdue is not None and position.owed_since is None:
            self._note_late(position, overdue, lease)
        elif overdue is None and clock_ms is not None:
            self._proof.confirm(position, clock_ms, lease)
        if _is_end_worth_noting(position, asked_at):
            self._positions.note(lease, position, at_end_at=asked_at, error="", failing_since=None)

    def _note_late(self, position: FeedPosition, overdue: timedelta, lease: FeedLease) -> None:
        delay_s = overdue.total_seconds()
        log.error("feed_late", seconds=delay_s)
        self._observers.notify(FeedHappening.LATE)
        now = self._now()
        self._positions.note(
            lease,
            position,
            delay_s=delay_s,
            delay_measured_at=now,
            owed_since=now - overdue,
        )
        self._proof.end(lease)

    def _take_in(
        self,
        position: FeedPosition,
        entries: Sequence[JournalEntry],
        lease: FeedLease,
        deadline: Deadline,
    ) -> None:
        """Read the entries' files and store what they say; as far as they can be read."""
        files: list[JournalFile] = []
        for group in chunks(entries, FILES_AT_ONCE):
            read, failed = self._files.fetch(group, Deadline.after(FILES_WITHIN_S))
            files.extend(read)
            if failed is not None:
                if self._store(position, files, lease, deadline):
                    self._pass_over(position, failed, lease)
                return
            if deadline.passed:
                break
            if sum(len(file.events) for file in files) >= MAX_EVENTS_AT_ONCE:
                if not self._store(position, files, lease, deadline):
                    return
                files = []
        self._store(position, files, lease, deadline)

    def _store(
        self,
        position: FeedPosition,
        files: Sequence[JournalFile],
        lease: FeedLease,
        deadline: Deadline,
    ) -> bool:
        """Store what the files say as far as there is time; return whether that is all of it."""
        stored = 0
        for together in group_by_events(files, MAX_EVENTS_TOGETHER):
            if stored > 0 and deadline.passed:
                break
            self._store_together(position, together, lease)
            stored += len(together)
        return stored == len(files)

    def _store_together(
        self, position: FeedPosition, files: Sequence[JournalFile], lease: FeedLease
    ) -> None:
        """Drop what the files' events outdate, then store them and the offset behind them."""
        reading = read_files(files, self._profile, self._portal_id)
        if reading.unreadable > 0:
            # Before the offset moves, or whoever is killed here would forget it.
            log.error("feed_events_unreadable", number=reading.unreadable)
            self._proof.end(lease)
        if reading.names_portal:
            self._proof.note_portal()
        new_events: list[NewEvent] = []
        for part in chunks(reading.events, MAX_EVENTS_AT_ONCE):
            new_events.extend(self._intake.invalidate(part))
        own = self._own_writes.measure(reading.events, position, caught_up_at=self._caught_up_at)
        values: dict[str, Any] = {"read_at": self._now(), "published_at": reading.published_at}
        if own.delay_s is not None:
            values |= {"delay_s": own.delay_s, "delay_measured_at": self._now()}
        if len(own.record_ids) > 0:
            # What else is owed is found at the journal's end.
            values |= {"owed_since": None}
        with self._positions.moving(lease, position, files[-1].offset, **values):
            self._own_writes.expect_no_more(own.record_ids)
            stored = self._inbox.store(new_events, WebhookEvent.Source.JOURNAL)
            if stored.refused > 0:
                # Nobody will ask for the links that they bring back.
                self._proof.end(lease)
            if stored.refused > 0 or reading.unreadable > 0:
                self._positions.note_unreadable(position)
        duplicates = len(new_events) - len(stored.new) - stored.refused
        self._intake.notify(stored.new, duplicates)
        self._file_trouble.end()
        self._count(files, reading, len(stored.new), duplicates)
        if any(each.state == WebhookEvent.State.RECEIVED for each in stored.new):
            self._wake_applier()

    def _count(
        self, files: Sequence[JournalFile], reading: JournalReading, new: int, duplicates: int
    ) -> None:
        notify = self._observers.notify
        notify(FeedHappening.ENTRY, len(files))
        notify(FeedHappening.EVENT, new)
        notify(FeedHappening.DUPLICATE, duplicates)
        notify(FeedHappening.IGNORED, reading.ignored)
        notify(FeedHappening.UNREADABLE, reading.unreadable)

    def _pass_over(
        self,
        position: FeedPosition,
        failed: FailedFile,
        lease: FeedLease,
    ) -> None:
        """Raise why a file cannot be read; after too long it is passed over, and what it may have
        said is made good as after a lost offset."""
        if not self._file_trouble.is_given_up(failed):
            raise failed.error
        log.error("feed_file_passed_over", reason=failed.error.safe_text)
        self._start_over(position, failed.offset, EpochReason.FILE_LOST, lease)
        self._file_trouble.note_passed_over()

    def _find_way_on(
        self, gone: OffsetGone, position: FeedPosition, lease: FeedLease, deadline: Deadline
    ) -> None:
        """HubSpot does not know our offset any more: what came after it is unknown, but where we
        were at the end of a journal that is empty now. Raises why where the last loss was only just
        made good: a cause that lasts empties no cache again and again."""
        if not self._since_loss.is_over:
            self._proof.end(lease)
            raise gone
        latest = self._journal.read_latest(deadline)
        if latest is None and self._has_missed_nothing(position):
            log.info("feed_offset_gone_of_quiet_portal")
            self._observers.notify(FeedHappening.QUIET)
            with self._positions.moving(lease, position, ""):
                return
        log.error("feed_offset_lost", last_at_end=str(position.at_end_at))
        self._observers.notify(FeedHappening.OFFSET_LOST)
        offset = "" if latest is None else latest.offset
        self._start_over(position, offset, EpochReason.OFFSET_LOST, lease)
        self._since_loss.begin()

    def _has_missed_nothing(self, position: FeedPosition) -> bool:
        """Say whether all that came since we were last at the end would still be in the journal."""
        if position.offset == "" or position.at_end_at is None:
            return False
        if position.read_at is not None and position.read_at > position.at_end_at:
            return False
        return self._now() - position.at_end_at < RETENTION - RETENTION_MARGIN

    def _start_over(
        self, position: FeedPosition, offset: str, reason: EpochReason, lease: FeedLease
    ) -> None:
        """Go on from an offset that HubSpot has just named, with nothing of before held to be
        right: everything is dropped, all upcoming exams are to be recounted, and it is to be found
        out whom HubSpot has forgotten meanwhile."""
        self._proof.drop_everything(position, reason, lease)
        now = self._now()
        values: dict[str, Any] = {"lost_at": now, "recount_due": True, "owed_since": None}
        values |= {"erasures_missed_at": now}
        with self._positions.moving(lease, position, offset, **values):
            self._own_writes.forget()

    def _fail(self, error: str, retry_after_s: float | None) -> float:
        """Write down why the feed stands still; return when to try again."""
        self._failures += 1
        log.warning("feed_stands_still", error=error, failures=self._failures)
        self._observers.notify(FeedHappening.FAILURE)
        self._positions.note_failure(error)
        wait = backoff(self._failures, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
        asked_s = 0.0 if retry_after_s is None else min(retry_after_s, MAX_RETRY_AFTER_S)
        return max(wait.total_seconds(), asked_s)


def _is_end_worth_noting(position: FeedPosition, asked_at: datetime) -> bool:
    """Say whether that we are at the end is news, for the row that says it."""
    noted_at, read_at = position.at_end_at, position.read_at
    if noted_at is None or position.failing_since is not None:
        return True
    return asked_at - noted_at >= NOTE_END_EVERY or (read_at is not None and read_at > noted_at)
