"""A lease that is renewed beside its holder's calls, so that it can be short and the calls long.

A short lease is soon somebody else's when its holder has vanished. While the holder works at a
step, a thread of its own renews the lease every so often; it ends with the step's own limit, so
that whoever hangs is overtaken all the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection

from booking_api.desk.journal.lease import HeldLease, LeaseHandedOn, LeaseLost
from hubspot_sync.background.worker import Worker
from hubspot_sync.wire.deadlines import Deadline

IDLE_S: Final = 3_600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    lease: HeldLease
    limit: Deadline
    due: Deadline
    """When the lease is to be renewed next."""


class LeaseRenewal:
    """One process's. Its thread starts with the first step."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._step: _Step | None = None
        self._is_idle = True
        self._is_handing_on = False
        self.worker = Worker("lease", self.renew_due)

    def begin_step(self, lease: HeldLease, limit_s: float) -> Deadline:
        """Renew the lease now, and every so often until the step ends; return the step's limit.
        Raises LeaseLost, and LeaseHandedOn where no more steps are to be begun."""
        if self._is_handing_on:
            raise LeaseHandedOn(f"The lease {lease.name} is handed on in epoch {lease.epoch}.")
        limit = Deadline.after(limit_s)
        lease.renew()
        with self._lock:
            self._step = _Step(lease, limit, Deadline.after(self._every_s))
            must_wake, self._is_idle = self._is_idle, False
        if must_wake:
            self.worker.wake()
        return limit

    def end_steps(self) -> None:
        """Renew nothing any more until the next step."""
        with self._lock:
            self._step = None

    def hand_on(self) -> None:
        """Let no more steps begin: the one under way is the last."""
        self._is_handing_on = True

    def renew_due(self) -> float:
        """Renew the lease if it is time; return for how many seconds to rest."""
        with self._lock:
            step = self._step
            if step is None or step.limit.passed:
                self._is_idle = True
                return IDLE_S
        if not step.due.passed:
            return step.due.remaining_s()
        return self._renew(step)

    def _renew(self, step: _Step) -> float:
        try:
            step.lease.renew()
        except LeaseLost:
            # Who works at the step learns it too, before whatever it writes next.
            self._replace(step, None)
        except DatabaseFailure as error:
            log.warning("lease_not_renewed", epoch=step.lease.epoch, error=type(error).__name__)
            connection.close()
        else:
            self._replace(step, _Step(step.lease, step.limit, Deadline.after(self._every_s)))
            return 0.0
        return self._every_s

    def _replace(self, step: _Step, by: _Step | None) -> None:
        with self._lock:
            if self._step is step:
                self._step = by
