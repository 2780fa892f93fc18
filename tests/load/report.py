"""What a load run found, as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from tests.load.figures import Figures
from tests.load.judge import Check

SCHEMA = 1
NAMES = {"ours": "this system", "naive": "the old one"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One scenario: what it is, the figures of each system, what was judged, how long it took; or
    why it was not played."""

    name: str
    what: str
    figures: Sequence[Figures] = ()
    checks: Sequence[Check] = ()
    took_s: float = 0.0
    left_out: str = ""

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print one scenario: a line for each thing that was asked of each system, what it cost, and
    what was judged."""
    if outcome.left_out:
        console.print(f"[bold]{outcome.name}[/]: {outcome.left_out}\n")
        return
    table = Table(title=f"{outcome.name}: {outcome.what}", title_justify="left")
    table.add_column("system")
    table.add_column("asked")
    for word in ("answers", "a second", "average", "P50", "P95", "P99"):
        table.add_column(word, justify="right")
    for figures in outcome.figures:
        for row in rows_of(figures):
            table.add_row(*row)
    if table.row_count > 0:
        console.print(table)
    else:
        console.print(f"[italic]{outcome.name}: {outcome.what}[/]")
    for figures in outcome.figures:
        console.print(f"  {NAMES[figures.system]}: {'; '.join(words_of(figures))}.")
    for check in outcome.checks:
        mark = "[green]holds[/]" if check.holds else "[bold red]MISSED[/]"
        console.print(f"  {mark}  {check.what}: {check.found} (wanted: {check.wanted})")
    console.print()


def rows_of(figures: Figures) -> Iterator[tuple[str, ...]]:
    if not figures.times and "requests" not in figures.numbers:
        yield (NAMES[figures.system], "all", "0", "0", "-", "-", "-", "-")
    for what, times in figures.times.items():
        shown = (times.average_s, times.p50_s, times.p95_s, times.p99_s)
        yield (
            NAMES[figures.system],
            what,
            f"{times.answers}",
            f"{times.answers / figures.seconds:.1f}",
            *(f"{value * 1000:.0f} ms" for value in shown),
        )


def words_of(figures: Figures) -> Iterator[str]:
    yield f"{figures.calls} calls to HubSpot, {figures.most_in_window} in any 10 s at most"
    yield f"{figures.limited} refused (429)"
    yield f"{figures.errors_count} errors, {figures.unanswered} not answered"
    if figures.system == "ours":
        yield f"{figures.hit_rate:.0%} from the cache"
    if figures.memory_mib:
        held = [f"{first:.0f} → {last:.0f} MiB" for first, _, last in figures.memory_mib]
        yield f"memory of each process {', '.join(held)}"
    yield from (f"{name}: {value:.4g}" for name, value in figures.numbers.items())
    unlike = {kind: n for kind, n in figures.answers.items() if not kind.endswith(" 200")}
    if unlike:
        yield "answers: " + ", ".join(f"{kind}: {n}" for kind, n in sorted(unlike.items()))
    if figures.broken and figures.system == "naive":
        yield f"{len(figures.broken)} promises broken, as: {figures.broken[0]}"


def write_json(path: Path, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Write everything, for programs; `schema` grows where a field changes its meaning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "schema": SCHEMA,
        "machine": machine,
        "scenarios": {outcome.name: dataclasses.asdict(outcome) for outcome in outcomes},
    }
    path.write_bytes(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def describe_machine(stores: str, *, quick: bool) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "stores": stores,
        "quick": quick,
    }
