"""What is told of below, counted for the console. What each key means: docs/console.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from booking_api.desk.events import DeskEvent, GroupServed
from booking_api.ops.history import tally as keys
from booking_api.ops.history.tally import Tally
from booking_api.ops.metrics.observing import never_raising
from cache_layer.counters import Count, Counted
from cache_layer.endings import Ending
from hubspot_sync.inbox.observers import EventsHandled, Source
from hubspot_sync.wire.call_log import BreakerChanged, CallRecord, Paused, WireEvent
from hubspot_sync.wire.circuit_breaker import BreakerState
from hubspot_sync.wire.limits.rate_budget import BudgetUsage
from hubspot_sync.wire.transport import LONG_WAIT_S, TOO_MANY

SERVER_ERROR: Final = 500
BAD_REQUEST: Final = 400
MS: Final = 1_000
API: Final = "api/"
NOT_COUNTED: Final = frozenset({"api/health", "api/ready"})
"""Monitors ask these all day; they are nobody's request."""
DELAYS_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0)
LONGER: Final = "longer"
_WORDS_OF_CACHE: Final = {
    Count.HITS: keys.HITS,
    Count.AHEAD_HITS: keys.WARMED_HITS,
    Count.MISSES: keys.MISSES,
    Count.BYPASSES: keys.MISSES,
    Count.DRIFTS: keys.DRIFT,
}


class HistoryObservers:
    """Tell a tally. Nothing that is counted is failed by its being counted."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.breaker = BreakerState.CLOSED
        """Of this process's client, as it last told."""

    def look(self, usage: BudgetUsage) -> None:
        """Note what is now, and not told of when it changes."""
        used, limit = usage.window
        if used > 0:
            self._tally.note_peak(keys.WINDOW_SHARE, value=used / limit)
        if self.breaker is not BreakerState.CLOSED:
            self._tally.note_peak(keys.BREAKER, value=self.breaker)

    @never_raising
    def observe_call(self, record: CallRecord) -> None:
        tally = self._tally
        tally.add(keys.CALLS, record.operation, record.object_type)
        tally.add(keys.CALLS_TOOK_MS, number=round(record.took_s * MS))
        tally.note_peak(keys.CALL_TOOK_S, value=record.took_s)
        if record.status is None or record.status >= SERVER_ERROR:
            tally.add(keys.FAILED_CALLS)
        if record.status == TOO_MANY:
            tally.add(keys.LIMITED)
        if record.waited_s > 0:
            tally.add(keys.WAITED_MS, number=round(record.waited_s * MS))
        if record.waited_s > LONG_WAIT_S:
            tally.add(keys.LONG_WAITS)

    @never_raising
    def observe_wire(self, event: WireEvent) -> None:
        match event:
            case BreakerChanged():
                self.breaker = event.state
                self._tally.add(keys.BREAKER_OPENED, number=int(event.opened))
                self._tally.note_peak(keys.BREAKER, value=event.state)
            case Paused():
                self._tally.add(keys.PAUSES)
            case _:
                return

    @never_raising
    def observe_events(self, handled: EventsHandled) -> None:
        if handled.source is not Source.WEBHOOK:
            return
        self._tally.add(keys.EVENTS, handled.outcome, number=handled.number)
        for delay in handled.delays:
            delay_s = max(0.0, delay.total_seconds())
            bound = next((f"{each:g}" for each in DELAYS_S if delay_s <= each), LONGER)
            self._tally.add(keys.DELAYS, bound)
            self._tally.note_peak(keys.DELAY_S, value=delay_s)

    def observe_inbox(self, source: Source, waiting: int) -> None:
        """Nothing: what waits is asked of the database when somebody looks."""

    @never_raising
    def observe_cache(self, tallies: Counted) -> None:
        for tally, number in tallies:
            word = _WORDS_OF_CACHE.get(tally.counted)
            if word is not None:
                self._tally.add(word, tally.family, number=number)

    def observe_endings(self, endings: Sequence[Ending]) -> None:
        """Nothing: how old entries grow is no question of the console's."""

    @never_raising
    def observe_desk(self, event: DeskEvent) -> None:
        if isinstance(event, GroupServed):
            for (kind, outcome), number in event.outcomes.items():
                self._tally.add(keys.DESK, kind, outcome, number=number)

    @never_raising
    def observe_booking(self, outcome: str) -> None:
        """`outcome` is `made`, `repeated` or the code of a refusal, also before the desk."""
        self._tally.add(keys.ASKED, outcome)

    @never_raising
    def observe_request(self, *, route: str, status: int) -> None:
        """Count a request of the API's; the route is the URL table's."""
        path = route.lstrip("^").rstrip("/")
        if not path.startswith(API) or path in NOT_COUNTED:
            return
        self._tally.add(keys.REQUESTS, outcome_of(status))


def outcome_of(status: int) -> str:
    """Return what a status says to whoever asked."""
    if status >= SERVER_ERROR:
        return "failed"
    if status == TOO_MANY:
        return "limited"
    return "refused" if status >= BAD_REQUEST else "answered"
