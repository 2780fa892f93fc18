"""Every operation in four systems: *naive* is the old one, *batched* this one with an empty cache,
*cached* this one asked again, *feed* asked again when the time to live of all that it holds is over
and the change feed proves that nothing has changed.

All speak to a sandbox over a socket, some way off and with HubSpot's limits, whose window is let
pass between two repetitions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import count

from django.test import Client

from booking_api import composition
from booking_api.benchmarks.old_system import NOTES
from booking_api.benchmarks.operations.application import (
    HUBSPOTS,
    NONE,
    OF_SEARCH,
    Asked,
    Limits,
    counted_calls,
    followed_feed,
    forget_everything,
    is_unused,
    running_application,
    sandbox_journal,
    start_working,
    wait_until_quiet,
)
from booking_api.benchmarks.operations.catalogue import (
    ALL_EXAMS,
    EXAMS_OFFERED,
    STUDENTS,
    Case,
    Operation,
)
from booking_api.benchmarks.operations.effort import Effort, Repetitions
from booking_api.benchmarks.operations.lanes import (
    let_window_pass,
    measure_old_system,
    put_far_away,
    reset,
)
from booking_api.benchmarks.operations.measurement import (
    SYSTEMS,
    Cost,
    Sample,
    System,
    count_round_trips,
    sum_up,
)
from booking_api.benchmarks.portal_data import PortalData
from booking_api.benchmarks.processes import Sandbox, running_sandbox
from cache_layer import CacheConfig, Cause
from cache_layer.config import DEFAULT_TTLS_S

FAMILIES_OF_VALUES = ("exams", "seats")
LONG_TTL_S, SHORT_TTL_S = 3_600.0, 1.0
MAX_PROOF_LOOKS = 5
MAX_ENTRIES, MAX_BYTES = 200_000, 1024**3
OK = (200, 201)
REPEATED_WORLDS = frozenset({STUDENTS, EXAMS_OFFERED})
# One database hears of all portals that are filled while this process lives.
numbers = count(1_000_001)

Cases = Mapping[Operation, Case]


class DatabaseInUse(Exception):
    """The database has rows of a desk, an inbox or a feed, which might be taken for ours."""


def measure(
    chosen: Sequence[Operation], effort: Effort, *, systems: Collection[System] = SYSTEMS
) -> list[Cost]:
    """Return what these operations cost in these systems, in their order. Raises DatabaseInUse
    where the database is not unused, and leaves it so."""
    if not is_unused():
        raise DatabaseInUse("This database is somebody's: `make bench` has one of its own.")
    ours = [system for system in SYSTEMS if system in systems and system != "naive"]
    old = [each for each in chosen if "naive" in systems and "naive" in each.systems]
    costs: list[Cost] = []

    def measure_world(sandbox: Sandbox, world: str) -> None:
        for system in ours:
            asked = [each for each in chosen if each.world == world and each.lives_in(system)]
            if len(asked) > 0:
                costs.extend(measure_system(sandbox, system, asked, effort))

    with running_sandbox() as sandbox, ThreadPoolExecutor(1) as beside:
        for world in dict.fromkeys(operation.world for operation in chosen):
            if world != ALL_EXAMS:
                measure_world(sandbox, world)
        # What waits for HubSpot's window notices the old system's waiting as little as that does.
        of_old_system = beside.submit(measure_old_system, old, effort, numbers)
        measure_world(sandbox, ALL_EXAMS)
        costs += of_old_system.result()
    order = [(operation.name, system) for operation in chosen for system in SYSTEMS]
    return sorted(costs, key=lambda cost: order.index((cost.operation, cost.system)))


def measure_system(
    sandbox: Sandbox,
    system: System,
    operations: Sequence[Operation],
    effort: Effort,
) -> list[Cost]:
    """Return what these operations of one portal cost in one system."""
    reset(sandbox)
    data = PortalData(sandbox, numbers=numbers)
    # Where only which exams there are is known, the others' values are forgotten, too.
    in_order = sorted(operations, key=lambda each: each.keeps_ids)
    cases = {each: each.make(data, effort.times(each)) for each in in_order}
    with running_system(sandbox, system, limits_of(operations, effort)) as client:
        if system != "batched":
            read_before(client, cases, effort)
        if system == "feed":
            wait_for_proof(sandbox, client, cases, effort)
        put_far_away(sandbox, effort)
        return [
            measure_case(sandbox, client, system, operation, case, effort)
            for operation, case in cases.items()
        ]


def limits_of(operations: Sequence[Operation], effort: Effort) -> Limits:
    """Return which limits our own client keeps to. Few calls that are repeated keep to none: the
    sandbox's clock, by which time has passed, is not ours. Many search pages wait for the limit of
    searches, and the calls of all exams for the window."""
    worlds = {operation.world for operation in operations}
    if not effort.limited or worlds <= REPEATED_WORLDS:
        return NONE
    return HUBSPOTS if ALL_EXAMS in worlds else OF_SEARCH


@contextmanager
def running_system(sandbox: Sandbox, system: System, limits: Limits) -> Iterator[Client]:
    """Give the application as one of our systems is, doing its work in the background."""
    follows_feed = system == "feed"
    ttls_s = dict.fromkeys(DEFAULT_TTLS_S, SHORT_TTL_S if follows_feed else LONG_TTL_S)
    cache = CacheConfig(
        enabled=system != "batched",
        ttls_s=ttls_s,
        # As for `search_lag_s`: nothing is invalidated here that a load could be too early for.
        settle_s=0.0,
        max_entries=MAX_ENTRIES,
        max_bytes=MAX_BYTES,
    )
    journal = sandbox_journal(sandbox) if follows_feed else None
    with running_application(sandbox, cache, limits=limits, journal=journal) as client:
        start_working()
        with followed_feed() if follows_feed else nullcontext():
            yield client
    forget_everything()


def read_before(client: Client, cases: Cases, effort: Effort) -> None:
    """Ask all that was asked before; raise RuntimeError where that is not answered."""
    for operation, case in cases.items():
        for number in range(effort.times(operation)):
            for asked in case.before(number):
                status = asked.send(client)
                if status != 200:
                    raise RuntimeError(f"{operation.name}: {status}")


def wait_for_proof(sandbox: Sandbox, client: Client, cases: Cases, effort: Effort) -> None:
    """Let every time to live pass until nothing that was asked before is asked of HubSpot again, or
    for a few times: what then still costs calls is not proven, and its calls tell."""
    pause = threading.Event()
    for _ in range(MAX_PROOF_LOOKS):
        pause.wait(SHORT_TTL_S * 1.1)
        sandbox.clear_calls()
        read_before(client, cases, effort)
        if len(counted_calls(sandbox)) == 0:
            break
    pause.wait(SHORT_TTL_S * 1.1)


def measure_case(
    sandbox: Sandbox,
    client: Client,
    system: System,
    operation: Operation,
    case: Case,
    effort: Effort,
) -> Cost:
    repetitions = Repetitions(effort, effort.times(operation))
    let_window_pass(sandbox)
    for number in repetitions:
        forget_ids()
        if operation.keeps_ids:
            keep_ids_alone(client, case.ask(number))
        # By the sandbox's clock: what follows a write compares that with ours.
        if case.follows:
            sandbox.clear_calls()
        else:
            let_window_pass(sandbox)
        repetitions.samples.append(repeat(sandbox, client, case, number, effort.latency_ms))
    label: System = "batched" if operation.keeps_ids else system
    return sum_up(operation.name, label, repetitions.samples, effort.latency_ms)


def forget_ids() -> None:
    """Have the process know no ids of earlier answers: what was asked before, or how often, must
    not decide what is counted."""
    likely = composition.services().likely
    likely.exams.forget()
    likely.bookings.forget()


def keep_ids_alone(client: Client, asked: Asked) -> None:
    """Have which exams there are in the cache, and nothing else of them."""
    asked.send(client)
    invalidator = composition.services().cached.cache.invalidator
    for family in FAMILIES_OF_VALUES:
        invalidator.invalidate_family(family, cause=Cause.FORCED)


def repeat(sandbox: Sandbox, client: Client, case: Case, number: int, latency_ms: float) -> Sample:
    asked, before = case.ask(number), count_answered()
    started_s = time.perf_counter()
    status = asked.send(client)
    took_ms = (time.perf_counter() - started_s) * 1000
    # What follows begins at once: by the time the sandbox is asked it may have made calls.
    answered = count_answered() - before
    calls = sorted(counted_calls(sandbox), key=lambda call: call["at"] + call["duration_ms"] / 1000)
    # A note is sent from the outbox, whether the answer has left by then or not.
    needed = [call for call in calls[:answered] if call["object_type"] != NOTES]
    in_all = wait_until_quiet(sandbox, latency_ms) if case.follows else len(calls)
    return Sample(
        took_ms=took_ms,
        calls=len(needed),
        calls_in_all=in_all,
        round_trips=count_round_trips(needed),
        failure="" if status in OK else f"status {status}",
    )


def count_answered() -> int:
    """Return how many calls this process's client has made."""
    return sum(composition.services().client.call_log.snapshot().calls.values())
