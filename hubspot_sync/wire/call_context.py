"""On whose behalf a call is made: how long they wait, how urgent they are, who counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline


class Priority(IntEnum):
    """People's requests go before background work."""

    PEOPLE = 0
    BACKGROUND = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """Passed to everything that may call HubSpot."""

    deadline: Deadline
    priority: Priority = Priority.PEOPLE
    meters: tuple[CallMeter, ...] = field(default=())

    @classmethod
    def join(cls, contexts: Sequence[CallContext]) -> CallContext:
        """Return the context of one call made for several of one priority: the latest deadline,
        counted by each."""
        deadline = contexts[0].deadline
        meters: dict[int, CallMeter] = {}
        for context in contexts:
            deadline = deadline.later_of(context.deadline)
            meters.update((id(meter), meter) for meter in context.meters)
        return cls(
            deadline=deadline,
            priority=contexts[0].priority,
            meters=tuple(meters.values()),
        )
