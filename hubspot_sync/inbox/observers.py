"""What became of events, for those who count: a record to observers, as for calls to HubSpot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from hubspot_sync.inbox.models import WebhookEvent

Source = WebhookEvent.Source


class EventOutcome(StrEnum):
    RECEIVED = "received"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    APPLIED = "applied"
    REQUEUED = "put back"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsHandled:
    """`number` events of a source came to this outcome; `delays` are from when they happened until
    they were applied, of those that say when they happened."""

    source: Source
    outcome: EventOutcome
    number: int
    delays: tuple[timedelta, ...] = ()


EventObserver = Callable[[EventsHandled], None]
InboxObserver = Callable[[Source, int], None]


@dataclass(slots=True)
class EventObservers:
    """Those who want to hear what becomes of events, and how many of each source wait."""

    of_events: list[EventObserver] = field(default_factory=list)
    of_inbox: list[InboxObserver] = field(default_factory=list)

    def notify(
        self,
        source: Source,
        outcome: EventOutcome,
        number: int,
        delays: tuple[timedelta, ...] = (),
    ) -> None:
        if number == 0:
            return
        for observer in self.of_events:
            observer(EventsHandled(source=source, outcome=outcome, number=number, delays=delays))

    def notify_waiting(self, source: Source, number: int) -> None:
        for observer in self.of_inbox:
            observer(source, number)
