"""On whose behalf a call is made: how long they wait, how urgent they are, who counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline


class Priority(IntEnum):
    """Whose calls go first, and how much of the budget they may use: see `rate_budget.py`."""

    DESK = 0
    """What the desk does, and what is read for a booking before and after it."""
    UNPROVEN_WRITER = 1
    """Callers with something for the desk to do who say that they are a student, while that is
    looked up."""
    PEOPLE = 2
    """Students and staff who have proved who they are."""
    UNPROVEN = 3
    """Callers who only read and say that they are a student, while that is looked up."""
    ANONYMOUS = 4
    """Questions that anybody may ask."""
    BACKGROUND = 5
    """Work that nobody waits for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """Passed to everything that may call HubSpot. `looked_up` are the ids of records that HubSpot
    has just told of for the same request: none of them is the old id of one that was merged."""

    deadline: Deadline
    priority: Priority = Priority.PEOPLE
    meters: tuple[CallMeter, ...] = field(default=())
    looked_up: frozenset[str] = frozenset()

    @property
    def asked_by(self) -> str:
        """Whoever the call is made for, the first of several; "" where nobody said."""
        return next((meter.asked_by for meter in self.meters if meter.asked_by != ""), "")

    @classmethod
    def join(cls, contexts: Sequence[CallContext]) -> CallContext:
        """Return the context of one call made for several: the latest deadline, the priority of
        whoever goes first, counted by each."""
        deadline = contexts[0].deadline
        meters: dict[int, CallMeter] = {}
        for context in contexts:
            deadline = deadline.later_of(context.deadline)
            meters.update((id(meter), meter) for meter in context.meters)
        return cls(
            deadline=deadline,
            priority=min(context.priority for context in contexts),
            meters=tuple(meters.values()),
        )
