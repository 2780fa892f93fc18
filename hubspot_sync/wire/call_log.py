"""What was asked of HubSpot: a frozen record per call, observers, and a count per request; and what
else is worth telling of the wire.

The transport writes one `CallRecord` for every request it sends, retries included. Observers
(metrics, logs) are told of each; a `CallMeter` counts those made for one request, for the header
`Server-Timing`. Nothing here knows a metrics library, and no record holds a body, a token or an
e-mail.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hubspot_sync.wire.circuit_breaker import BreakerState
from hubspot_sync.wire.verdicts import Meaning


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord:
    """One request sent to HubSpot.

    `operation` is the endpoint's name (`batch_read`), `object_type` what it was about, `status`
    HTTP's or None when no answer came; `attempt` counts from 1; `waited_s` is the time spent
    waiting for the limiter, `took_s` from sending to the whole answer. `meaning` is the answer's,
    None where none came; where it was `hurried`, too little time was left to take that for silence.
    `asked_by` is whoever the call was made for, the first of several, "" where nobody said. The
    `policy` is the limit that a 429 names; `left` is how many more calls HubSpot says that it takes
    in the window, and `day_left` today; None where it says nothing.
    """

    operation: str
    object_type: str
    method: str
    status: int | None
    attempt: int
    waited_s: float
    took_s: float
    background: bool
    meaning: Meaning | None = None
    hurried: bool = False
    asked_by: str = ""
    policy: str | None = None
    left: int | None = None
    day_left: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSent:
    """A batch of one operation, and how many of its records came to what: `ok`, also where HubSpot
    says that there is no such record; `failed`, refused; `unknown`, nobody can say."""

    operation: str
    ok: int
    failed: int
    unknown: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerChanged:
    """The circuit breaker is in another state; `opened` says that it had been closed before."""

    state: BreakerState
    opened: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """HubSpot said 429: nobody sends, or nobody searches, for so many seconds."""

    seconds: float
    search: bool


WireEvent = BatchSent | BreakerChanged | Paused
WireObserver = Callable[[WireEvent], None]
CallObserver = Callable[[CallRecord], None]


class CallMeter:
    """Counts the calls made for one request, or one piece of work in the background; safe to share
    between threads. `asked_by` names the route, or the work, once that is known."""

    def __init__(self, asked_by: str = "") -> None:
        self.asked_by = asked_by
        self._lock = threading.Lock()
        self._calls = 0
        self._took_s = 0.0

    def add(self, record: CallRecord) -> None:
        with self._lock:
            self._calls += 1
            self._took_s += record.waited_s + record.took_s

    @property
    def calls(self) -> int:
        with self._lock:
            return self._calls

    @property
    def took_s(self) -> float:
        """Seconds spent in calls, added up; calls in parallel each count in full."""
        with self._lock:
            return self._took_s


@dataclass(frozen=True, kw_only=True, slots=True)
class CallLogSnapshot:
    """All calls so far. `calls` counts by (operation, status), a status of None being no answer;
    `retries` those among them that were not the first attempt; the seconds are added up."""

    calls: Mapping[tuple[str, int | None], int]
    retries: int
    waited_s: float
    took_s: float


class CallLog:
    """Counts every call and tells every observer of it; and those of events, of events."""

    def __init__(
        self,
        observers: Iterable[CallObserver] = (),
        of_events: Iterable[WireObserver] = (),
    ) -> None:
        self._observers = list(observers)
        self._of_events = list(of_events)
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, int | None]] = Counter()
        self._retries = 0
        self._waited_s = 0.0
        self._took_s = 0.0

    def observe(self, observer: CallObserver) -> None:
        self._observers.append(observer)

    def observe_events(self, observer: WireObserver) -> None:
        self._of_events.append(observer)

    def tell(self, event: WireEvent) -> None:
        for observer in self._of_events:
            observer(event)

    def write(self, record: CallRecord, meters: tuple[CallMeter, ...]) -> None:
        """Count the call, here and in the meters, and tell the observers of it."""
        with self._lock:
            self._calls[record.operation, record.status] += 1
            self._retries += record.attempt > 1
            self._waited_s += record.waited_s
            self._took_s += record.took_s
        for meter in meters:
            meter.add(record)
        for observer in self._observers:
            observer(record)

    def snapshot(self) -> CallLogSnapshot:
        """Return the counts as they are now."""
        with self._lock:
            return CallLogSnapshot(
                calls=MappingProxyType(dict(self._calls)),
                retries=self._retries,
                waited_s=self._waited_s,
                took_s=self._took_s,
            )
