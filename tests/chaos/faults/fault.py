"""What a fault is: how it is begun and lifted, and from when on its recovery is timed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.chaos.world.world import World

Lift = Callable[[], None]
Inject = Callable[[World, random.Random], Lift]
Group = Literal["servers", "redis", "postgres", "hubspot", "links", "webhooks"]

AFTER_KILL_S, AFTER_FREEZE_S, AFTER_RESTART_S, AFTER_END_S = 8.0, 6.0, 3.0, 3.0
"""What is promised of the next booking, in seconds: a lease is 5, and renewed every second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One kind of fault; two of a group never overlap. It lasts between these seconds. Recovery
    counts from its beginning where the others take over from what it struck, else from its end. The
    next booking is promised within `max_recovery_s`, where that is said. While one that `hinders`
    is not recovered from, nobody may be able to book: times of other faults say nothing then."""

    name: str
    group: Group
    inject: Inject
    lasts_s: tuple[float, float] = (2.0, 6.0)
    counts_from_beginning: bool = False
    needs_redis: bool = False
    max_recovery_s: float | None = None
    hinders: bool = False
