"""Who follows the change feed: one process of the deployment, the one that holds the lease.

Every serving process has a follower, and one of them does the work; when it dies another goes on
from where it stood. The lease's epoch tells the cache who confirms: a holder that was paused and
overtaken confirms nothing more. A lease is short, so that a follower that was killed is missed
before the proof's silence is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from booking_api import composition
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper, LeaseLost
from booking_api.ops.remedies import (
    ERASURES_AGAIN_S,
    RECOUNT_AGAIN_S,
    Remedy,
    request_missed_erasures,
)
from cache_layer import TermPassed
from hubspot_sync.background.worker import Worker
from hubspot_sync.feed.change_feed import ChangeFeed
from hubspot_sync.feed.positions import PositionMoved

FEED_LEASE = "change feed"
LEASE_DURATION = timedelta(seconds=15)
RENEW_EVERY_S = 4.0
LOOK_AGAIN_S = 3.0
STOP_WITHIN_S = 12.0

log = structlog.get_logger(__name__)


class FeedFollower:
    """Has the feed's reader take its steps while this process holds the lease. Once the feed has
    missed something, `recount_upcoming` counts all exams that may still be booked, and
    `request_missed_erasures` has those forgotten whom HubSpot has forgotten meanwhile: each in a
    thread of its own, and again until it succeeds."""

    def __init__(
        self,
        feed: ChangeFeed,
        lease_keeper: LeaseKeeper,
        recount_upcoming: Callable[[], object],
        request_missed_erasures: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._lease_keeper = lease_keeper
        self._clock = clock
        self._lease: HeldLease | None = None
        self._renewed_s = 0.0
        positions = feed.positions
        self._remedies = (
            Remedy(
                name="recount",
                work=recount_upcoming,
                due_since=positions.recount_due_since,
                note_done=positions.note_recounted,
                again_s=RECOUNT_AGAIN_S,
            ),
            Remedy(
                name="erasures",
                work=request_missed_erasures,
                due_since=positions.erasures_missed_since,
                note_done=positions.note_erasures_found,
                again_s=ERASURES_AGAIN_S,
            ),
        )
        self._due_s = 0.0
        self._worker = Worker(
            "feed", self.follow, finish=self.release_lease, stop_within_s=STOP_WITHIN_S
        )

    def start(self) -> None:
        self._worker.start()

    def close(self) -> None:
        """End, and let another process follow at once."""
        self._worker.stop()

    def follow(self) -> float:
        """Take a step if this process holds or gets the lease and one is due; return for how many
        seconds to rest. Raises Django's database errors."""
        lease = self._hold_lease()
        if lease is None:
            return LOOK_AGAIN_S
        if self._clock() >= self._due_s:
            try:
                rest_s = self._feed.reader.step(lease)
            except TermPassed as passed:
                return self._go_on_above(passed.highest, lease)
            except (LeaseLost, PositionMoved) as lost:
                log.warning("feed_lease_lost", epoch=lease.epoch, reason=type(lost).__name__)
                self._lease = None
                return LOOK_AGAIN_S
            self._due_s = self._clock() + rest_s
            for remedy in self._remedies:
                remedy.start_if_due(self._clock())
        # A rest that was asked for may be longer than the lease.
        return max(min(self._due_s - self._clock(), RENEW_EVERY_S), 0.0)

    def release_lease(self) -> None:
        """Let another process follow."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._lease_keeper.let_go(lease, in_order=True)

    def _hold_lease(self) -> HeldLease | None:
        """Return the lease where it is this process's, renewed in time."""
        now_s = self._clock()
        if self._lease is None:
            self._lease = self._lease_keeper.acquire()
            self._renewed_s = now_s
            if self._lease is not None:
                log.info("feed_followed_here", epoch=self._lease.epoch)
            return self._lease
        if now_s - self._renewed_s >= RENEW_EVERY_S:
            try:
                self._lease.renew()
            except LeaseLost:
                log.warning("feed_lease_lost", epoch=self._lease.epoch, reason="LeaseLost")
                self._lease = None
                return None
            self._renewed_s = now_s
        return self._lease

    def _go_on_above(self, term: int, lease: HeldLease) -> float:
        """The cache remembers a later holder than this process. There is one, or the lease is ours
        all the same: then the database is that of a backup, or another, and the lease's epoch goes
        on above what the cache remembers. Return for how long to rest."""
        try:
            self._lease = lease.raise_epoch(term)
        except LeaseLost:
            log.warning("feed_lease_lost", epoch=lease.epoch, reason="TermPassed")
            self._lease = None
            return LOOK_AGAIN_S
        log.warning("feed_term_raised", epoch=self._lease.epoch)
        return 0.0


def build_follower() -> FeedFollower | None:
    """Return who follows the feed here; None where there is none to follow."""
    services = composition.services()
    if services.feed is None:
        return None
    keeper = LeaseKeeper(FEED_LEASE, LEASE_DURATION)
    return FeedFollower(
        services.feed,
        keeper,
        services.booking.recount_upcoming,
        partial(request_missed_erasures, services),
    )
