"""The client put together: one per process, made when it is first needed, closed when it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubspot_sync.batching.batch import BatchClient
from hubspot_sync.batching.coalescing import Coalescer
from hubspot_sync.batching.refused_records import RefusedRecords
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import BreakerChanged, CallLog, CallObserver, WireObserver
from hubspot_sync.wire.circuit_breaker import BreakerState, CircuitBreaker
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.http_exchange import Sender
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_budget import RateBudget, build_rate_budget
from hubspot_sync.wire.transport import Transport


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSpotClient:
    """Everything that shares one pool of connections and one budget."""

    transport: Transport
    batch: BatchClient
    coalescer: Coalescer
    call_log: CallLog
    rate_budget: RateBudget
    fan_outs: Mapping[Priority, FanOut]

    def fan_out_for(self, context: CallContext) -> FanOut:
        return self.fan_outs[context.priority]

    def close(self) -> None:
        """Wait for the calls under way, then close the connections."""
        for fan_out in self.fan_outs.values():
            fan_out.close()
        self.transport.close()


def build_client(
    config: HubSpotConfig,
    *,
    observers: Sequence[CallObserver] = (),
    event_observers: Sequence[WireObserver] = (),
    redis_url: str | None = None,
    clock: Monotonic = time.monotonic,
    day: PortalDay | None = None,
    sender: Sender | None = None,
) -> HubSpotClient:
    """Return a client that has opened nothing yet. `observers` are told of calls, `event_observers`
    of what else happens. With `redis_url` it shares the budget of requests with all processes that
    have the same. `day` is the portal's; without it, UTC's. `sender` puts the calls on the wire;
    without it, a pool of connections of its own."""
    day = PortalDay() if day is None else day
    call_log = CallLog(observers, event_observers)

    def tell_change(before: BreakerState, now: BreakerState) -> None:
        call_log.tell(BreakerChanged(state=now, opened=before is BreakerState.CLOSED))

    circuit_breaker = CircuitBreaker(
        failures=config.breaker_failures,
        cooldown_s=config.breaker_cooldown_s,
        clock=clock,
        notify=tell_change,
    )
    rate_budget = build_rate_budget(config, clock=clock, day=day, redis_url=redis_url)
    transport = Transport(
        config,
        rate_budget=rate_budget,
        circuit_breaker=circuit_breaker,
        call_log=call_log,
        day=day,
        clock=clock,
        sender=sender,
    )
    # As many workers as connections: a further thread could only wait for one. Everybody else has
    # their own, fewer: their calls wait for people's, and must leave them threads and connections.
    shares = {
        Priority.DESK: 1.0,
        Priority.UNPROVEN_WRITER: 1.0 - config.reserved_share,
        Priority.PEOPLE: 1.0 - config.desk_share,
        Priority.UNPROVEN: 1.0 - config.reserved_share,
        Priority.ANONYMOUS: config.anonymous_share,
        Priority.BACKGROUND: config.background_share,
    }
    fan_outs = {
        priority: FanOut(max(1, int(config.pool_size * share)))
        for priority, share in shares.items()
    }
    batch = BatchClient(transport, fan_outs, RefusedRecords(clock), call_log.tell)
    return HubSpotClient(
        transport=transport,
        batch=batch,
        coalescer=Coalescer(batch, transport),
        call_log=call_log,
        rate_budget=rate_budget,
        fan_outs=fan_outs,
    )
