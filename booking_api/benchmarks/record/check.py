"""Counts against the record and against their limits: what CI compares, since they do not depend on
how fast a machine is. More calls or round trips than recorded fail; fewer are to be recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.console import Console
from rich.table import Table

from booking_api.benchmarks.operations import comparison
from booking_api.benchmarks.operations.catalogue import Operation
from booking_api.benchmarks.operations.effort import Effort
from booking_api.benchmarks.operations.limits import max_counts
from booking_api.benchmarks.operations.measurement import OURS, Cost, System
from booking_api.benchmarks.record.results import Record, round_figure
from booking_api.benchmarks.report import Row

MANY_CALLS = 100
FURTHER_MS = (100.0, 200.0, 400.0)


class Verdict(StrEnum):
    """What comes of one comparison; all but the first two fail the check."""

    SAME = "same"
    BETTER = "better: record it"
    WORSE = "worse than recorded"
    MISSED = "not within its limit"
    UNANSWERED = "no answer"
    UNRECORDED = "not recorded: record it"
    UNMEASURED = "recorded, and not measured any more"


FAILING = frozenset(Verdict) - {Verdict.SAME, Verdict.BETTER}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One count beside what it must be; None where there is no such thing."""

    what: str
    measured: float | None
    recorded: float | None
    limit: float | None
    verdict: Verdict

    @property
    def fails(self) -> bool:
        return self.verdict in FAILING


def measure_counts(operations: Sequence[Operation], effort: Effort, record: Record) -> list[Cost]:
    """Return what these operations cost our systems. On a busy machine calls that are sent together
    may look as if one had waited for the other: where there are more round trips than recorded, it
    is looked again with HubSpot further away, and the fewest count."""
    costs = {_key(cost): cost for cost in comparison.measure(operations, effort, systems=OURS)}
    for latency_ms in FURTHER_MS:
        again = {operation for (operation, _), cost in costs.items() if _looks_deep(cost, record)}
        if len(again) == 0:
            break
        chosen = [operation for operation in operations if operation.name in again]
        further = replace(effort, latency_ms=latency_ms)
        for cost in comparison.measure(chosen, further, systems=OURS):
            before = costs[_key(cost)]
            fewest = min(before.round_trips, cost.round_trips)
            costs[_key(cost)] = replace(before, round_trips=fewest)
    return list(costs.values())


def _key(cost: Cost) -> tuple[str, System]:
    return cost.operation, cost.system


def _looks_deep(cost: Cost, record: Record) -> bool:
    recorded = record.cost(cost.operation, cost.system)
    if recorded is None:
        return False
    return counts_of(cost).get("round_trips", 0) > recorded.round_trips


def counts_of(cost: Cost) -> Mapping[str, int]:
    """Return what is compared of an operation. Left out are calls that follow a write while the
    feed is read, which depend on how its events fall together, and the round trips of what is so
    many calls that they wait for HubSpot's limits."""
    counts = {"calls": cost.calls}
    if cost.system != "feed":
        counts["calls_in_all"] = cost.calls_in_all
    if cost.calls < MANY_CALLS:
        counts["round_trips"] = cost.round_trips
    return counts


def compare_costs(
    measured: Collection[Cost], record: Record, *, left_out: Collection[str] = ()
) -> Iterator[Finding]:
    """Compare what was measured of our systems; `left_out` are recorded operations that were not to
    be measured."""
    for cost in measured:
        recorded = record.cost(cost.operation, cost.system)
        limits = max_counts(cost.operation, cost.system)
        for name, count in counts_of(cost).items():
            known = None if recorded is None else counts_of(recorded).get(name)
            row = Row(part="operations", name=name, value=count, maximum=limits.get(name))
            verdict = judge(row, known)
            yield Finding(
                what=f"{cost.operation}, {cost.system}: {name.replace('_', ' ')}",
                measured=count,
                recorded=known,
                limit=limits.get(name),
                verdict=Verdict.UNANSWERED if cost.failure != "" else verdict,
            )
    seen = {_key(cost) for cost in measured}
    for cost in record.operations:
        is_ours = cost.system in OURS and cost.operation not in left_out
        if is_ours and _key(cost) not in seen:
            yield _unmeasured(f"{cost.operation}, {cost.system}")


def compare_rows(measured: Collection[Row], record: Record, part: str) -> Iterator[Finding]:
    """Compare the figures of one part, which are the same in every run of the same code."""
    for row in measured:
        recorded = record.row(part, row.name)
        known = None if recorded is None else recorded.value
        yield Finding(
            what=f"{part}: {row.name}",
            measured=row.value,
            recorded=known,
            limit=row.maximum if row.minimum is None else row.minimum,
            verdict=judge(row, known),
        )
    seen = {row.name for row in measured}
    for recorded_row in record.rows:
        if recorded_row.part == part and recorded_row.name not in seen:
            yield _unmeasured(f"{part}: {recorded_row.name}")


def judge(row: Row, recorded: float | None) -> Verdict:
    """Compare a figure of which less is better, or more where it has a minimum. Recorded figures
    have four digits, and so has this one."""
    if row.is_missed:
        return Verdict.MISSED
    if recorded is None:
        return Verdict.UNRECORDED
    more = round_figure(row.value) - recorded
    if more == 0:
        return Verdict.SAME
    return Verdict.WORSE if (more > 0) == (row.minimum is None) else Verdict.BETTER


def _unmeasured(what: str) -> Finding:
    return Finding(what=what, measured=None, recorded=None, limit=None, verdict=Verdict.UNMEASURED)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what is not as recorded, and a sentence that sums up."""
    table = Table("count", "measured", "recorded", "limit", "", title="Counts that are different")
    for found in findings:
        if found.verdict != Verdict.SAME:
            colour = "red" if found.fails else "green"
            figures = (found.measured, found.recorded, found.limit)
            shown = ("" if each is None else f"{each:g}" for each in figures)
            table.add_row(found.what, *shown, f"[{colour}]{found.verdict}[/{colour}]")
    if table.row_count > 0:
        console.print(table)
    failed = sum(found.fails for found in findings)
    better = sum(found.verdict == Verdict.BETTER for found in findings)
    console.print(
        f"{len(findings)} counts compared with the record: {failed} worse, {better} better."
    )
