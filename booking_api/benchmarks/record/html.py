"""The record as one page for people, `bench/report.html`: no script, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.template import Context, Engine

from booking_api.benchmarks.operations.catalogue import OPERATIONS
from booking_api.benchmarks.operations.measurement import SYSTEMS, Cost, System
from booking_api.benchmarks.processes import ROOT
from booking_api.benchmarks.record.charts import Bar, draw_bars, draw_lines, show_number
from booking_api.benchmarks.record.results import Record
from booking_api.benchmarks.record.tables import (
    NAMES,
    compare_systems,
    describe,
    list_costs,
)

REPORT: Final = ROOT / "bench" / "report.html"
LISTS, OFFERS = "list, {} bookings", "available, {} exams"
BARS: Final = frozenset(operation.name for operation in OPERATIONS)
SIZES: Final = (1, 10, 20, 50, 101, 200, 500, 1_000, 2_000, 5_000)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, a sentence on how to read it, and its element, whose texts are escaped."""

    title: str
    said: str
    svg: str


def render_report(record: Record) -> str:
    """Return the page."""
    folder = Path(__file__).parent
    template = Engine(dirs=[str(folder)], autoescape=True).get_template("report.html")
    parts = dict.fromkeys(row.part for row in record.rows)
    return template.render(
        Context(
            {
                "described": describe(record),
                "systems": NAMES.items(),
                "charts": draw_charts(record),
                "parts": [
                    {
                        "name": part,
                        "rows": [
                            {
                                "name": row.name,
                                "measured": show_number(row.value),
                                "wanted": row.wanted,
                                "is_missed": row.is_missed,
                            }
                            for row in record.rows
                            if row.part == part
                        ],
                    }
                    for part in parts
                ],
                "tables": [
                    {"title": title, "head": table.head, "rows": table.rows}
                    for title, table in (
                        ("Calls and medians", compare_systems(record)),
                        ("All that was measured of each operation", list_costs(record)),
                    )
                ],
            }
        )
    )


def write_report(record: Record, path: Path = REPORT) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(render_report(record), encoding="utf-8")


def draw_charts(record: Record) -> list[Chart]:
    by_system = record.by_system()
    # The others are points of curves.
    drawn = {name: costs for name, costs in by_system.items() if name in BARS}
    scale = "Scales are logarithmic: from one line to the next is ten times as much."
    charts = [
        Chart(
            "Time until the answer, median",
            f"{scale} The old system gave no answer where a request's 25 seconds were up.",
            (draw_bars("Time until the answer", "ms", bars_of(drawn, times_of))),
        ),
        Chart(
            "HubSpot calls until the answer",
            f"{scale} What is read again costs none.",
            (draw_bars("HubSpot calls until the answer", "calls", bars_of(drawn, calls_of))),
        ),
    ]
    for what, names, unit in (
        ("A list, by its bookings", LISTS, "bookings"),
        ("Exams on offer, by their number", OFFERS, "exams"),
    ):
        for of, y_unit, value_of in (("time", "ms", times_of), ("calls", "", calls_of)):
            curves = curves_of(by_system, names, value_of)
            title = f"{what}: {of}"
            charts.append(Chart(title, scale, (draw_lines(title, unit, y_unit, curves))))
    return charts


def bars_of(
    drawn: Mapping[str, Mapping[System, Cost]], value_of: Callable[[Cost], float]
) -> dict[str, list[Bar]]:
    """Return a row of bars for each operation; where there was no answer, its figure is none."""
    return {
        operation: [
            Bar(system, None, "no answer") if cost.failure else Bar(system, value_of(cost))
            for system in SYSTEMS
            if (cost := costs.get(system)) is not None
        ]
        for operation, costs in drawn.items()
    }


def curves_of(
    by_system: Mapping[str, Mapping[System, Cost]],
    names: str,
    value_of: Callable[[Cost], float],
) -> dict[str, list[tuple[float, float]]]:
    """Return a curve for each system: size and figure, where there was an answer."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for size in SIZES:
        for system, cost in by_system.get(names.format(f"{size:,}"), {}).items():
            if not cost.failure:
                curves.setdefault(system, []).append((size, value_of(cost)))
    return curves


def times_of(cost: Cost) -> float:
    return cost.p50_ms


def calls_of(cost: Cost) -> float:
    return cost.calls
