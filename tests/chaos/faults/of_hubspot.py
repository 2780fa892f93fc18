"""HubSpot: slow, cut, refusing, holding writes, lagging; its webhooks twice, late, lost."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos.faults.fault import Fault, Group, Inject, Lift
from tests.chaos.world.world import JITTER_MS, LATENCY_MS, World

WRITES = r"/batch/(create|update)$"
HELD_MS = 25_000
USUAL: dict[str, Any] = {
    "latency_ms": LATENCY_MS,
    "jitter_ms": JITTER_MS,
    "association_lag_s": 0.0,
    "search_lag_s": 0.0,
}
USUAL_WEBHOOK: dict[str, Any] = {"duplicate": 0.0, "reorder": False, "late_s": 0.0, "lose": 0.0}


def order(**fault: Any) -> Inject:
    """Return how to order a fault of some calls; they meet it until it is lifted."""

    def inject(world: World, _: random.Random) -> Lift:
        fault_id = world.sandbox.fault(**fault)
        return lambda: world.sandbox.clear_faults(fault_id)

    return inject


def switch(**changes: Any) -> Inject:
    def inject(world: World, _: random.Random) -> Lift:
        world.sandbox.configure(**changes)
        return lambda: _put_back(world, changes)

    return inject


def _put_back(world: World, changes: dict[str, Any]) -> None:
    world.sandbox.configure(**{name: USUAL[name] for name in changes})


def switch_webhooks(**changes: Any) -> Inject:
    def inject(world: World, _: random.Random) -> Lift:
        world.sandbox.configure(webhook=changes)
        usual = {name: USUAL_WEBHOOK[name] for name in changes}
        return lambda: _configure_webhooks(world, usual)

    return inject


def _configure_webhooks(world: World, changes: dict[str, Any]) -> None:
    world.sandbox.configure(webhook=changes)


def _fault(name: str, group: Group, inject: Inject, at_most_s: float = 6.0) -> Fault:
    # What lags and what HubSpot tells keeps nobody from booking.
    hinders = group == "hubspot"
    return Fault(name=name, group=group, inject=inject, lasts_s=(2.0, at_most_s), hinders=hinders)


FAULTS = (
    _fault("HubSpot slow", "hubspot", switch(latency_ms=1_500, jitter_ms=1_000)),
    _fault("HubSpot cut before", "hubspot", order(action="cut_before", probability=0.4)),
    _fault("HubSpot cut after", "hubspot", order(action="cut_after", probability=0.4)),
    _fault("HubSpot answers 429", "hubspot", order(action="status", status=429, probability=0.4)),
    _fault("HubSpot answers 503", "hubspot", order(action="status", status=503, probability=0.5)),
    _fault("HubSpot answers 502 to all", "hubspot", order(action="status", status=502)),
    _fault("HubSpot answers in part", "hubspot", order(action="partial", probability=0.3)),
    # A held write takes effect when its time is over or the order is lifted, whoever still waits.
    _fault(
        "HubSpot holds writes",
        "hubspot",
        order(action="delay", path=WRITES, delay_ms=HELD_MS, probability=0.5),
        14.0,
    ),
    _fault("associations and search lag", "links", switch(association_lag_s=3.0, search_lag_s=4.0)),
    _fault("webhooks twice", "webhooks", switch_webhooks(duplicate=1.5, reorder=True)),
    _fault("webhooks late", "webhooks", switch_webhooks(late_s=5.0, reorder=True)),
    _fault("webhooks lost", "webhooks", switch_webhooks(lose=0.7)),
)
