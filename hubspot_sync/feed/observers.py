"""What happens with the feed, for those who count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class EpochReason(StrEnum):
    """Why an epoch of the cache's proof began."""

    FIRST_START = "first start"
    OFFSET_LOST = "offset lost"
    SOURCE_CHANGED = "another journal"
    """Another app, portal or version: an offset means nothing to it."""
    FILE_LOST = "file lost"
    COVERAGE_CHANGED = "subscriptions changed"
    NOT_APPLIED = "event not applied"
    PROOF_ENDED = "proof ended"
    """By drift that a validation found, by an event that nobody could read, by a late one, or with
    a cache that was emptied or began anew."""


class FeedHappening(StrEnum):
    ENTRY = "entry read"
    EVENT = "event stored"
    DUPLICATE = "event known"
    IGNORED = "event about nothing of ours"
    UNREADABLE = "event unreadable"
    AT_END = "nothing more"
    CONFIRMED = "confirmed"
    FAILURE = "failure"
    OFFSET_LOST = "offset lost"
    QUIET = "offset gone of a quiet portal"
    EPOCH = "epoch begun"
    LATE = "own write late"


FeedObserver = Callable[[FeedHappening, int], None]
DelayObserver = Callable[[float], None]


@dataclass(slots=True)
class FeedObservers:
    """Those who want to hear of the feed; `of_delay` of how late it shows our own writes, in
    seconds."""

    of_feed: list[FeedObserver] = field(default_factory=list)
    of_delay: list[DelayObserver] = field(default_factory=list)

    def notify(self, happening: FeedHappening, number: int = 1) -> None:
        if number == 0:
            return
        for observer in self.of_feed:
            observer(happening, number)

    def notify_delay(self, delay_s: float) -> None:
        for observer in self.of_delay:
            observer(delay_s)
