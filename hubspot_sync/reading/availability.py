"""Whether HubSpot serves us: learnt from the calls that are made anyway, asked when there are none.

Nobody who wants to know makes a call. Every call that ends tells; when it has been quiet for a
while, a background worker makes one, in the background's share of the budget. HubSpot counts as
away as long as the circuit breaker would say so: several calls in a row without an answer, or with
one that is none. One slow call is not an outage. What only a person can end counts at once: a token
that is refused, a daily limit that is used up. A refusal, a 404 and a 429 are answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import structlog

from hubspot_sync.background.worker import Worker
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter, CallRecord
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.verdicts import Meaning

QUIET_S: Final = 15.0
"""After so long without an answer it is asked whether there still would be one."""
QUIET_IN_DOUBT_S: Final = 2.0
"""The same while the last call failed, or nothing is known."""
PROBE_WITHIN_S: Final = 5.0
UNAUTHORIZED: Final = 401
ABSENT_EMAIL: Final = "nobody@absent.invalid"
"""Looking for a contact that cannot exist costs one call and needs nothing of the portal's content;
by an id it would be two, for one that was merged is found by a second."""

log = structlog.get_logger(__name__)


class State(StrEnum):
    """What is known of HubSpot."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """No call has ended yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Availability:
    """A verdict; `heard_s_ago` is how old it is, None where nothing was heard yet."""

    state: State
    heard_s_ago: float | None


def probe_hubspot(reads: PortalReads, context: CallContext) -> None:
    """Make one call to HubSpot; raise HubSpotError where it does not answer."""
    reads.contacts_by_email([ABSENT_EMAIL], context).require_complete()


class AvailabilityWatch:
    """Keeps the verdict of one process.

    `probe` makes one call, or raises HubSpotError; `max_failures` in a row are an outage;
    `has_day_left` says whether our own budget lets anybody ask today. After `quiet_s` seconds
    without a call, or fewer in doubt, the probe asks.
    """

    def __init__(
        self,
        probe: Callable[[CallContext], object],
        *,
        max_failures: int,
        has_day_left: Callable[[], bool],
        clock: Monotonic,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._probe = probe
        self._max_failures = max_failures
        self._has_day_left = has_day_left
        self._clock = clock
        self._quiet_s = quiet_s
        self._known = threading.Condition()
        self._heard_at_s: float | None = None
        self._failures_in_a_row = 0
        self._was_answered = False
        self._hopeless = ""
        self.worker = Worker("hubspot-watch", self.take_step, first_rest_s=QUIET_IN_DOUBT_S)

    def observe_call(self, record: CallRecord) -> None:
        """Learn from a call that has ended."""
        if record.meaning is None and record.hurried:
            return
        with self._known:
            before = self._state
            self._heard_at_s = self._clock()
            self._learn(record)
            after = self._state
            self._known.notify_all()
        if after is State.FAILED and before is not State.FAILED:
            log.warning("hubspot_away", status=record.status, reason=self._hopeless or "silent")
        elif after is State.OK and before is State.FAILED:
            log.info("hubspot_back")

    def look(self, *, wait_s: float = 0.0) -> Availability:
        """Return the verdict. While there is none yet, have it asked for and wait so long."""
        with self._known:
            if self._heard_at_s is None:
                self.worker.wake()
                self._known.wait_for(lambda: self._heard_at_s is not None, timeout=wait_s)
        known = self.known()
        if known.state is State.OK and not self._has_day_left():
            return replace(known, state=State.FAILED)
        return known

    def known(self) -> Availability:
        """Return the verdict there is; unlike `look`, this never has anything asked."""
        with self._known:
            heard_at_s, state = self._heard_at_s, self._state
        heard_s_ago = None if heard_at_s is None else max(0.0, self._clock() - heard_at_s)
        return Availability(state=state, heard_s_ago=heard_s_ago)

    @property
    def _state(self) -> State:
        if self._heard_at_s is None:
            return State.UNKNOWN
        # Whoever never answered need not have failed as often as one who did.
        failures = self._max_failures if self._was_answered else 1
        away = self._hopeless != "" or self._failures_in_a_row >= failures
        return State.FAILED if away else State.OK

    def _learn(self, record: CallRecord) -> None:
        if record.status == UNAUTHORIZED:
            self._hopeless = "token refused"
        elif record.meaning is Meaning.EXHAUSTED:
            self._hopeless = "limit used up"
        elif record.meaning in {None, Meaning.RETRY, Meaning.UNEXPECTED}:
            self._failures_in_a_row += 1
        else:
            self._failures_in_a_row, self._hopeless, self._was_answered = 0, "", True

    def take_step(self) -> float:
        """Ask if it has been quiet for long enough; return for how long to rest."""
        wait_s = self._quiet_for_s()
        if wait_s > 0:
            return wait_s
        deadline = Deadline.after(PROBE_WITHIN_S, self._clock)
        try:
            self._probe(
                CallContext(
                    deadline=deadline,
                    priority=Priority.BACKGROUND,
                    meters=(CallMeter("availability"),),
                )
            )
        except HubSpotError as error:
            log.debug("hubspot_probe_failed", error=error.safe_text)
        return max(self._quiet_for_s(), QUIET_IN_DOUBT_S)

    def _quiet_for_s(self) -> float:
        """Return for how much longer nobody need ask."""
        with self._known:
            if self._heard_at_s is None:
                return 0.0
            in_doubt = self._failures_in_a_row > 0 or self._hopeless != ""
            quiet_s = QUIET_IN_DOUBT_S if in_doubt else self._quiet_s
            return self._heard_at_s + quiet_s - self._clock()
