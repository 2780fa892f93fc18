"""The old system's costs. It waits for one call after the other, so that several of its operations
are measured at the same time and hardly notice: each before a sandbox of its own, with limits of
its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from booking_api.benchmarks.operations.application import (
    HUBSPOTS,
    NONE,
    UNLIMITED,
    Limits,
    counted_calls,
    hubspot_config,
)
from booking_api.benchmarks.operations.catalogue import Case, Operation
from booking_api.benchmarks.operations.effort import Effort, Repetitions
from booking_api.benchmarks.operations.measurement import (
    Cost,
    Sample,
    count_round_trips,
    sum_up,
)
from booking_api.benchmarks.operations.old_endpoints import OldEndpoints
from booking_api.benchmarks.portal_data import PortalData
from booking_api.benchmarks.processes import Sandbox, running_sandbox
from hubspot_sync.client import build_client
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline

LANES = 8
# HubSpot's longest window: after it, nothing that was measured before counts any more.
WINDOW_S = 11.0


def measure_old_system(
    operations: Sequence[Operation], effort: Effort, numbers: Iterator[int]
) -> list[Cost]:
    """Return what the operations cost the old system. What is listed last begins first: of each
    kind that is what takes longest."""
    with ExitStack() as stack, ThreadPoolExecutor(LANES) as pool:
        free: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        for _ in range(min(LANES, len(operations))):
            free.put(stack.enter_context(running_sandbox()))
        filling = threading.Lock()

        def measure_one(operation: Operation) -> Cost:
            sandbox = free.get()
            try:
                with filling:
                    reset(sandbox)
                    data = PortalData(sandbox, numbers=numbers)
                    case = operation.make(data, effort.times(operation))
                return measure_case(sandbox, operation, case, effort)
            finally:
                free.put(sandbox)

        return list(pool.map(measure_one, reversed(operations)))


def measure_case(sandbox: Sandbox, operation: Operation, case: Case, effort: Effort) -> Cost:
    put_far_away(sandbox, effort)
    repetitions = Repetitions(effort, effort.times(operation))
    for number in repetitions:
        let_window_pass(sandbox)

        def ask(old: OldEndpoints, number: int = number) -> object:
            return case.naive(old, number)

        repetitions.samples.append(repeat(sandbox, ask, HUBSPOTS if effort.limited else NONE))
    return sum_up(operation.name, "naive", repetitions.samples, effort.latency_ms)


def repeat(sandbox: Sandbox, ask: Callable[[OldEndpoints], object], limits: Limits) -> Sample:
    config = hubspot_config(sandbox.url, limits)
    client = build_client(config)
    context = CallContext(deadline=Deadline.after(config.request_deadline_s))
    failure = ""
    started_s = time.perf_counter()
    try:
        ask(OldEndpoints(client.transport, context))
    except HubSpotError as error:
        failure = error.message
    took_ms = (time.perf_counter() - started_s) * 1000
    client.close()
    calls = counted_calls(sandbox)
    return Sample(
        took_ms=took_ms,
        calls=len(calls),
        calls_in_all=len(calls),
        round_trips=count_round_trips(calls),
        failure=failure,
    )


def reset(sandbox: Sandbox) -> None:
    """Empty the sandbox; it is near and keeps HubSpot's limits."""
    sandbox.control("POST", "reset", {"seed": "empty", "portal": "default"})


def put_far_away(sandbox: Sandbox, effort: Effort) -> None:
    """Have the sandbox answer as late as HubSpot, and keep its limits or not."""
    limits = {} if effort.limited else {"rate_limit": UNLIMITED, "search_rate": UNLIMITED}
    sandbox.control("PATCH", "config", {"latency_ms": effort.latency_ms, **limits})


def let_window_pass(sandbox: Sandbox) -> None:
    """Begin to count calls anew: ours, and those of HubSpot's limit."""
    sandbox.control("POST", "clock", {"advance_s": WINDOW_S})
    sandbox.clear_calls()
