"""The feed's side of proven freshness: when an epoch begins, and until when the cache is confirmed.

The cache's rule is in `cache_layer.coherence.freshness`. Here is what the feed has to know for it:
whether everything read was applied, whether the subscriptions are what they were when the epoch
began, and whether the feed shows our own writes in time. Whatever is in doubt is not confirmed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from cache_layer import Cause, TermPassed
from cache_layer.cache import Cache
from hubspot_sync.errors import HubSpotError
from hubspot_sync.feed.intervals import GrowingInterval
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import EpochReason, FeedHappening, FeedObservers
from hubspot_sync.feed.positions import FeedLease, Positions
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.wire.deadlines import Deadline, Monotonic

log = structlog.get_logger(__name__)

ASK_COVERAGE_EVERY_S: Final = 10.0
COVERAGE_WITHIN_S: Final = 9.0
MAX_COVERAGE_AGE_S: Final = 30.0
MAX_UNAPPLIED_S: Final = 60.0
OWN_WRITES_FAMILY: Final = "bookings"
CLOCK_MARGIN: Final = timedelta(seconds=5)
"""By so much two processes, or one at two moments, may be wrong about the database's time."""
MAX_CLOCK_JUMP_S: Final = 5.0
MIN_EPOCH_S: Final = 60.0
MAX_EPOCH_S: Final = 3_600.0
"""So soon no epoch follows another whose proof has ended, the later the more often it does: a cause
that lasts empties no cache every minute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The cache's families of which the live subscriptions tell every change, by name; `mark` is
    another whenever the subscriptions, or what the profile needs of them, are others.
    `names_portal` says that HubSpot named our portal as the one whose journal this is."""

    mark: str
    families: frozenset[str]
    names_portal: bool = True

    @property
    def shows_own_writes(self) -> bool:
        """Whether the bookings that we make are certainly told of."""
        return OWN_WRITES_FAMILY in self.families


AskCoverage = Callable[[Deadline], Coverage]
"""Asks HubSpot for the subscriptions; raises HubSpotError."""

RunAside = Callable[[Callable[[], None]], None]


def run_in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="feed coverage", daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Known:
    coverage: Coverage
    at_s: float


class FeedProof:
    """Begins epochs and confirms; used by one thread, under the feed's lease."""

    def __init__(
        self,
        *,
        cache: Cache,
        inbox: Inbox,
        positions: Positions,
        ask_coverage: AskCoverage,
        is_late: Callable[[FeedPosition], bool],
        observers: FeedObservers,
        is_on: bool,
        run_aside: RunAside,
        now: Callable[[], datetime],
        clock: Monotonic,
    ) -> None:
        self._cache = cache
        self._inbox = inbox
        self._positions = positions
        self._ask_coverage = ask_coverage
        self._is_late = is_late
        self._observers = observers
        self._is_on = is_on
        self._run_aside = run_aside
        self._now = now
        self._clock = clock
        self._known: _Known | None = None
        self._oldest: tuple[datetime, float] | None = None
        self._clocks: tuple[int, float] | None = None
        self._asked_s: float | None = None
        self._has_heard_of_portal = False
        self._since_begin, self._since_change = (
            GrowingInterval(first_s=MIN_EPOCH_S, max_s=MAX_EPOCH_S, clock=clock) for _ in range(2)
        )

    def prepare(self, position: FeedPosition, lease: FeedLease) -> int | None:
        """Begin an epoch if one is due. Return the time of the cache's clock, to be confirmed once
        the journal has answered that there is no more; None while nothing may be confirmed.

        Raises BackendUnavailable where the cache does not answer, TermPassed under a lost lease.
        """
        coverage = self._current_coverage() if self._is_on else None
        if coverage is None:
            return None
        clock_ms = self._cache.freshness.read_clock()
        is_late = coverage.shows_own_writes and self._is_late(position)
        if self._has_jumped(clock_ms) or is_late:
            self.end(lease)
            return None
        waiting_since = self._waiting_since(position)
        reason = self._reason_to_begin(position, coverage, waiting_since)
        if reason is None:
            return None if waiting_since is not None else clock_ms
        if not self._is_ours(coverage) or not self._may_begin(reason):
            # The reason may pass, what was missed meanwhile does not.
            self.end(lease)
            return None
        self.begin(position, reason, lease)
        if reason is EpochReason.COVERAGE_CHANGED:
            self._since_change.begin()
        return self._cache.freshness.read_clock()

    @property
    def awaits_own_writes(self) -> bool:
        """Whether the bookings that we make are to be told of, as far as is known."""
        return self._known is None or self._known.coverage.shows_own_writes

    def note_portal(self) -> None:
        """Take down that the journal told of our portal by its id."""
        self._has_heard_of_portal = True

    def begin(self, position: FeedPosition, reason: EpochReason, lease: FeedLease) -> None:
        """Drop everything, refuse the loads in flight, and begin an epoch. Whoever asks has the
        journal's answer where it is now, or an offset from before.

        Raises as `prepare`, and InvalidationUnacknowledged.
        """
        coverage = Coverage(mark="", families=frozenset())
        if self._known is not None:
            coverage = self._known.coverage
        began_at = self._now()
        epoch = self._cache.freshness.begin_epoch(coverage.families, term=lease.epoch)
        self._since_begin.begin()
        self._positions.note(
            lease,
            position,
            epoch=epoch,
            epoch_began_at=began_at,
            epoch_reason=reason.value,
            coverage=coverage.mark,
        )
        log.info("feed_epoch_began", reason=reason.value, families=len(coverage.families))
        self._observers.notify(FeedHappening.EPOCH)

    def confirm(self, position: FeedPosition, until_ms: int, lease: FeedLease) -> None:
        """Confirm that all that changed before `until_ms` was applied; raises
        BackendUnavailable, TermPassed under a lost lease."""
        if self._cache.freshness.confirm(position.epoch, until_ms, term=lease.epoch):
            self._observers.notify(FeedHappening.CONFIRMED)
            return
        highest = self._cache.freshness.describe().term
        if highest > lease.epoch:
            raise TermPassed(highest)

    def end(self, lease: FeedLease) -> None:
        """Let nothing outlive its time to live until the next epoch; raises BackendUnavailable,
        TermPassed under a lost lease."""
        report = self._cache.freshness.describe()
        if report.epoch != "" and not self._cache.freshness.end_proof(term=lease.epoch):
            raise TermPassed(report.term)

    def drop_everything(
        self, position: FeedPosition, reason: EpochReason, lease: FeedLease
    ) -> None:
        """Drop everything because something was missed, and begin an epoch where the journal is
        known to be ours; raises as `begin`."""
        self._empty_cache(reason)
        if not self._is_on:
            return
        if self._known is None or self._is_ours(self._known.coverage):
            self.begin(position, reason, lease)
        else:
            self.end(lease)

    def drop_for_another_source(self, lease: FeedLease) -> None:
        """Drop everything because another journal is followed from now on; the epoch begins with
        its first position. Raises as `begin`."""
        self.end(lease)
        self._empty_cache(EpochReason.SOURCE_CHANGED)

    def _is_ours(self, coverage: Coverage) -> bool:
        """Say whether it is known whose journal this is. Another portal's says nothing of ours, and
        would prove everything."""
        return coverage.names_portal or self._has_heard_of_portal

    def _empty_cache(self, reason: EpochReason) -> None:
        self._cache.invalidator.invalidate_everything(
            cause=Cause.FEED, reason=f"change feed: {reason.value}"
        )

    def _waiting_since(self, position: FeedPosition) -> datetime | None:
        """Return since when an event of this epoch, or of just before, waits to be applied to the
        cache."""
        if position.epoch_began_at is None:
            return None
        since = position.epoch_began_at - CLOCK_MARGIN
        return self._inbox.oldest_undelivered(WebhookEvent.Source.JOURNAL, since)

    def _reason_to_begin(
        self, position: FeedPosition, coverage: Coverage, waiting_since: datetime | None
    ) -> EpochReason | None:
        if position.epoch == "":
            return EpochReason.FIRST_START
        if coverage.mark != position.coverage:
            return EpochReason.COVERAGE_CHANGED
        if self._cache.freshness.describe().epoch != position.epoch:
            return EpochReason.PROOF_ENDED
        if waiting_since is not None and self._has_waited_long(waiting_since):
            return EpochReason.NOT_APPLIED
        return None

    def _has_jumped(self, clock_ms: int) -> bool:
        """Say whether a cache's clock that may be set went otherwise than ours since it was read
        last. Then what was invalidated a moment ago looks as if it had long settled, and what was
        confirmed may be yet to come."""
        if not self._cache.freshness.is_shared:
            return False
        now_s = self._clock()
        last, self._clocks = self._clocks, (clock_ms, now_s)
        if last is None:
            return False
        jump_s = (clock_ms - last[0]) / 1000 - (now_s - last[1])
        if abs(jump_s) <= MAX_CLOCK_JUMP_S:
            return False
        log.warning("feed_clock_jumped", seconds=jump_s)
        return True

    def _has_waited_long(self, waiting_since: datetime) -> bool:
        """Say whether the oldest event that waits has been the same for too long. How old it is
        says nothing: it may be applied again, one of many."""
        now_s = self._clock()
        if self._oldest is None or self._oldest[0] != waiting_since:
            self._oldest = (waiting_since, now_s)
        return now_s - self._oldest[1] > MAX_UNAPPLIED_S

    def _may_begin(self, reason: EpochReason) -> bool:
        match reason:
            case EpochReason.FIRST_START:
                return True
            case EpochReason.COVERAGE_CHANGED:
                return self._since_change.is_over
            case _:
                return self._since_begin.is_over

    def _current_coverage(self) -> Coverage | None:
        """Return what the subscriptions cover; None where that has not been known for too long. It
        is asked aside, so that no change is seen later for it, but for the first time."""
        now_s = self._clock()
        if self._asked_s is None or now_s - self._asked_s >= ASK_COVERAGE_EVERY_S:
            is_first, self._asked_s = self._known is None, now_s
            if is_first:
                self._ask()
            else:
                self._run_aside(self._ask)
        known = self._known
        if known is None or now_s - known.at_s > MAX_COVERAGE_AGE_S:
            return None
        return known.coverage

    def _ask(self) -> None:
        asked_s = self._clock()
        try:
            coverage = self._ask_coverage(Deadline.after(COVERAGE_WITHIN_S))
        except HubSpotError as error:
            log.warning("feed_coverage_unknown", error=error.safe_text)
            return
        if self._known is None or asked_s >= self._known.at_s:
            self._known = _Known(coverage, asked_s)
