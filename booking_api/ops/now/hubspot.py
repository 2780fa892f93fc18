"""HubSpot as it is now: what may still be asked of it, and whether it answers.

What belongs to this process alone is said to: each worker has a breaker and a window of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from booking_api.composition import Services
from hubspot_sync.reading.availability import State
from hubspot_sync.wire.circuit_breaker import BreakerState


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSpotNow:
    """`window` and `day` are what this process has used, and what it may; `heard_s_ago` is how old
    the verdict in `state` is."""

    window: tuple[int, int]
    day: tuple[int, int]
    breaker: BreakerState
    state: State
    heard_s_ago: float | None


def look_at_hubspot(services: Services, breaker: BreakerState) -> HubSpotNow:
    """Return what is known; no call is made."""
    usage, known = services.client.rate_budget.usage(), services.availability.known()
    return HubSpotNow(
        window=usage.window,
        day=usage.day,
        breaker=breaker,
        state=known.state,
        heard_s_ago=known.heard_s_ago,
    )
