"""Records of runs that nobody made, for tests of what becomes of a record."""

from __future__ import annotations

from booking_api.benchmarks.operations.measurement import Cost, System
from booking_api.benchmarks.record.results import Record, Run
from booking_api.benchmarks.report import Row

RUN = Run(
    date="2026-11-26", commit="abc1234", python="3.11.9", cores=2, latency_ms=100.0, quick=False
)


def cost(operation: str, system: System, *, calls: int = 5, failure: str = "") -> Cost:
    return Cost(
        operation=operation,
        system=system,
        n=3,
        p50_ms=100.0 * calls + 5,
        p95_ms=100.0 * calls + 9,
        own_ms=5.0,
        calls=calls,
        calls_in_all=calls + 1,
        round_trips=calls,
        failure=failure,
    )


def record(*costs: Cost, rows: tuple[Row, ...] = ()) -> Record:
    return Record(run=RUN, operations=costs, rows=rows)


LIST, REALTIME = "list, 50 bookings", "available, 20 exams, realtime"
WHOLE = record(
    cost("list, 1 bookings", "naive", calls=4),
    cost("list, 1 bookings", "batched"),
    cost(LIST, "naive", calls=102),
    cost(LIST, "batched", calls=5),
    cost(LIST, "cached", calls=0),
    cost(LIST, "feed", calls=0),
    cost("list, 500 bookings", "naive", calls=236, failure="25 s were up"),
    cost("list, 500 bookings", "batched", calls=9),
    rows=(
        Row(part="hour", name="wrong answers", value=0, maximum=0),
        Row(part="hour", name="hit rate", value=0.5, minimum=0.7),
        Row(part="hour", name="requests", value=5_000),
    ),
)
