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


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One kind of fault; two of a group never overlap. It lasts between these seconds. Recovery
    counts from its beginning where the others take over from what it struck, else from its end."""

    name: str
    group: Group
    inject: Inject
    lasts_s: tuple[float, float] = (2.0, 6.0)
    counts_from_beginning: bool = False
    needs_redis: bool = False
