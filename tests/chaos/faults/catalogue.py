"""All kinds of faults, and a plan of them by seed: which, when, for how long."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.faults import of_hubspot, of_servers, of_stores
from tests.chaos.faults.fault import Fault

CATALOGUE: Sequence[Fault] = (*of_servers.FAULTS, *of_stores.FAULTS, *of_hubspot.FAULTS)
GAP_S = (2.0, 8.0)
"""Between two faults of one group."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, to begin so many seconds after the start and to last so long; its own chance is by
    `seed`."""

    fault: Fault
    begins_s: float
    lasts_s: float
    seed: float


def plan_faults(seed: int, seconds: float, *, with_redis: bool) -> list[Planned]:
    """Return faults of every group one after the other, as many as there is time for; all groups
    at the same time. What does not fit is cut short at the end."""
    chance = random.Random(seed)
    usable = [fault for fault in CATALOGUE if with_redis or not fault.needs_redis]
    planned: list[Planned] = []
    for group in dict.fromkeys(fault.group for fault in usable):
        kinds = [fault for fault in usable if fault.group == group]
        at_s = chance.uniform(0.5, 8.0)
        while at_s < seconds - 1.0:
            if not kinds:
                kinds = [fault for fault in usable if fault.group == group]
            fault = kinds.pop(chance.randrange(len(kinds)))
            lasts_s = min(chance.uniform(*fault.lasts_s), seconds - at_s)
            planned.append(Planned(fault, at_s, lasts_s, chance.random()))
            at_s += lasts_s + chance.uniform(*GAP_S)
    return sorted(planned, key=lambda each: each.begins_s)
