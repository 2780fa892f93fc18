"""The change feed in a steered hour: the real reader before the sandbox's journal, asked when there
is something to learn.

A server asks every 0.7 s. Between two such questions nothing happens here but requests, so those
that would find nothing, and confirm nothing that matters, are left out: the journal is asked a
second after an edit at the latest, and every `QUIET_S` besides, two thirds of the silence allowed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from booking_api import composition
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper
from booking_api.ops.feed import FEED_LEASE
from hubspot_sync.feed.change_feed import ChangeFeed

QUIET_S = 20.0
TOLD_WITHIN_S = 1.0
MAX_STEPS = 20
COVERAGE_THREAD = "feed coverage"
HELD_FOR = timedelta(hours=1)
"""By the database's clock, which is not steered."""


class FeedStuck(Exception):
    """The feed does not come to the journal's end, or what it confirms is not proven."""


@dataclass(slots=True)
class SteeredFeed:
    """The feed of this process's services, and when by the hour's clock it is to be asked next."""

    feed: ChangeFeed
    lease: HeldLease
    due_s: float = field(default=-math.inf)

    def expect(self, edited_s: float) -> None:
        """There was an edit: it is told of at the next whole second."""
        self.due_s = min(self.due_s, math.floor(edited_s) + TOLD_WITHIN_S)

    def ask(self, now_s: float) -> None:
        """Read the journal to its end and have the cache confirmed; raise FeedStuck."""
        for _ in range(MAX_STEPS):
            if self.feed.reader.step(self.lease) > 0:
                break
        else:
            raise FeedStuck("The journal has no end.")
        _await_coverage()
        if not composition.services().cached.cache.freshness.describe().proven:
            raise FeedStuck("Nothing is proven.")
        self.due_s = now_s + QUIET_S


@contextmanager
def following(now_s: float) -> Iterator[SteeredFeed]:
    """Inside the block, this process holds the lease and follows, from an epoch that begins now;
    raise FeedStuck. The database's rows of feeds are to be none but this block's."""
    feed, keeper = composition.services().feed, LeaseKeeper(FEED_LEASE, HELD_FOR)
    lease = keeper.acquire()
    if feed is None or lease is None:
        raise FeedStuck("There is no journal to follow here, or somebody else does.")
    try:
        steered = SteeredFeed(feed, lease)
        steered.ask(now_s)
        yield steered
    finally:
        keeper.let_go(lease, in_order=True)


def _await_coverage() -> None:
    """The subscriptions are asked for aside, for some milliseconds: here those are seconds."""
    for thread in threading.enumerate():
        if thread.name == COVERAGE_THREAD:
            thread.join()
