"""The record as tables of text, for the page in Markdown and for the report in HTML alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from booking_api.benchmarks.operations.measurement import SYSTEMS, Cost, System
from booking_api.benchmarks.record.charts import show_number
from booking_api.benchmarks.record.results import Record
from booking_api.benchmarks.report import Row

SECOND_MS: Final = 1_000
EXACT_BELOW_MS: Final = 10
NAMES: Final[Mapping[System, str]] = MappingProxyType(
    {"naive": "naive", "batched": "batched", "cached": "cached", "feed": "with the feed"}
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A head, and rows of as many cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def describe(record: Record) -> str:
    """Return when, of what and on what it was measured, in one sentence."""
    run = record.run
    commit = f" at commit {run.commit}" if run.commit else ""
    return (
        f"Measured on {run.date}{commit}: Python {run.python}, {run.cores} cores, "
        f"HubSpot {run.latency_ms:g} ms away."
    )


def compare_systems(record: Record) -> TextTable:
    """Return an operation a row: calls until the answer and the median of each system."""
    rows = []
    for operation, costs in record.by_system().items():
        naive, batched = costs.get("naive"), costs.get("batched")
        cells = [show_cost(costs.get(system)) for system in SYSTEMS]
        rows.append([operation, *cells, show_share(batched, naive)])
    return TextTable(["operation", *NAMES.values(), "batched of naive, time"], rows)


def list_costs(record: Record) -> TextTable:
    """Return a system and operation a row, with all that was measured of it."""
    return TextTable(
        [
            *("operation", "system", "n", "P50", "P95", "calls", "calls in all", "round trips"),
            "own time",
        ],
        [
            [
                *(cost.operation, NAMES[cost.system], str(cost.n)),
                *(show_ms(cost.p50_ms), show_ms(cost.p95_ms)),
                *(f"{cost.calls:,}", f"{cost.calls_in_all:,}", f"{cost.round_trips:,}"),
                "no answer" if cost.failure else show_ms(cost.own_ms),
            ]
            for cost in record.operations
        ],
    )


def list_rows(record: Record) -> Mapping[str, TextTable]:
    """Return by part its figures, beside the limits of those that have any."""
    parts: dict[str, list[Row]] = {}
    for row in record.rows:
        parts.setdefault(row.part, []).append(row)
    return {
        part: TextTable(
            ["figure", "measured", "wanted"],
            [[row.name, show_measured(row), row.wanted] for row in rows],
        )
        for part, rows in parts.items()
    }


def show_measured(row: Row) -> str:
    return show_number(row.value) + (", **missed**" if row.is_missed else "")


def show_cost(cost: Cost | None) -> str:
    """Return calls and median, or why there is none."""
    if cost is None:
        return ""
    calls = f"{cost.calls:,} call" + ("" if cost.calls == 1 else "s")
    if cost.failure:
        return f"{calls}, then no answer within {show_ms(cost.p50_ms)}"
    return f"{calls}, {show_ms(cost.p50_ms)}"


def show_share(cost: Cost | None, naive: Cost | None) -> str:
    """Return the median as a share of the old system's, where both answered."""
    if cost is None or naive is None or cost.failure or naive.failure:
        return ""
    return f"{cost.p50_ms / naive.p50_ms:.3f}"


def show_ms(milliseconds: float) -> str:
    if milliseconds >= SECOND_MS:
        return f"{milliseconds / SECOND_MS:.1f} s"
    if milliseconds >= EXACT_BELOW_MS:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.1f} ms"
