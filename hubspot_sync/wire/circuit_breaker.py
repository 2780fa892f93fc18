"""The circuit breaker: while HubSpot is down, calls fail at once instead of holding threads.

Closed, it only counts failures in a row and holds nobody up. Open, it refuses, until the cool-down
has passed; then *one* call goes through as a probe, and its result closes or reopens the circuit.
Only no answer, or a 5xx, is a failure: a 4xx and a 429 show that HubSpot is alive. Its opening and
its closing are each logged once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import structlog

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.deadlines import Monotonic

log = structlog.get_logger(__name__)

SERVER_ERROR: Final = 500


class BreakerState(IntEnum):
    """Half open, a single call is under way to see whether HubSpot answers again."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


def ignore_change(_: BreakerState, __: BreakerState) -> None:
    """For a breaker whose state nobody wants to hear of."""


class CircuitBreaker:
    """Opens after `failures` failures in a row and tries again after `cooldown_s`. `notify` is told
    the state it was in and the one it is in, in their order; it must be quick. `about` names what
    it guards, in the log."""

    def __init__(
        self,
        *,
        failures: int,
        cooldown_s: float,
        clock: Monotonic,
        notify: Callable[[BreakerState, BreakerState], None] = ignore_change,
        about: str = "api",
    ) -> None:
        self._about = about
        self._notify = notify
        self._state = BreakerState.CLOSED
        self._max_failures = failures
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures_in_a_row = 0
        self._open_until_s: float | None = None
        self._probing = False
        self._last_failure = ""
        # Results of calls sent before the circuit last opened or closed say nothing about now.
        self._generation = 0

    def refuse_while_open(self) -> None:
        """Raise Unavailable while the circuit is open, before anything is waited for."""
        with self._lock:
            self._raise_while_open()

    def issue_permit(self) -> Permit:
        """Return the permit for one call, to be sent at once, or raise Unavailable."""
        with self._lock:
            self._raise_while_open()
            self._probing = self._open_until_s is not None
            self._note_state()
            return Permit(self, self._generation)

    def _raise_while_open(self) -> None:
        if self._open_until_s is None:
            return
        left_s = self._open_until_s - self._clock()
        if left_s > 0 or self._probing:
            raise Unavailable(
                f"HubSpot has not been answering ({self._last_failure}); not asking again yet.",
                retry_after_s=max(left_s, 1.0),
            )

    def count_result(self, generation: int, *, worked: bool | None, failure: str = "") -> None:
        """Count a call's result; None where it was never made. `failure` says in few words why it
        did not work, for those who are refused."""
        with self._lock:
            if generation != self._generation:
                return
            self._probing = False
            if worked is True:
                self._close()
            elif worked is False:
                self._last_failure = failure
                self._count_failure()
            self._note_state()

    def _close(self) -> None:
        self._failures_in_a_row = 0
        if self._open_until_s is not None:
            self._open_until_s = None
            self._generation += 1

    def _count_failure(self) -> None:
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= self._max_failures or self._open_until_s is not None:
            self._open_until_s = self._clock() + self._cooldown_s
            self._generation += 1

    def _note_state(self) -> None:
        """Tell of a state that is another than before."""
        before, now = self._state, BreakerState.CLOSED
        if self._open_until_s is not None:
            now = BreakerState.HALF_OPEN if self._probing else BreakerState.OPEN
        if now is before:
            return
        self._state = now
        if before is BreakerState.CLOSED:
            log.warning(
                "hubspot_breaker_opened", about=self._about, failures=self._failures_in_a_row
            )
        elif now is BreakerState.CLOSED:
            log.warning("hubspot_breaker_closed", about=self._about)
        self._notify(before, now)


class Permit:
    """Permission for one call; exactly one of these is called once it has ended."""

    def __init__(self, circuit_breaker: CircuitBreaker, generation: int) -> None:
        self._circuit_breaker = circuit_breaker
        self._generation = generation

    def report_answer(self) -> None:
        self._circuit_breaker.count_result(self._generation, worked=True)

    def report_failure(self, failure: str = "no answer") -> None:
        self._circuit_breaker.count_result(self._generation, worked=False, failure=failure)

    def report_unused(self) -> None:
        """The call was never made: nothing was learnt."""
        self._circuit_breaker.count_result(self._generation, worked=None)

    def report(self, status: int | None, *, hurried: bool, failure: str = "no answer") -> None:
        """Tell how a call that was sent ended; None is no answer, for which `failure` says why, and
        a `hurried` one says nothing."""
        if status is not None and status < SERVER_ERROR:
            self.report_answer()
        elif hurried:
            self.report_unused()
        else:
            self.report_failure(failure if status is None else f"status {status}")
