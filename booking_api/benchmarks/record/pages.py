"""Pages whose figures are the record's: what stands between a block's two marks is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from booking_api.benchmarks.processes import ROOT
from booking_api.benchmarks.record.results import Record
from booking_api.benchmarks.record.tables import (
    TextTable,
    compare_systems,
    describe,
    list_costs,
    list_rows,
    show_ms,
)

PAGES: Final = (ROOT / "docs" / "benchmarks.md", ROOT / "README.md")
BLOCK: Final = re.compile(
    r"(?P<begin><!-- made of bench/results\.json: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
README_OPERATION: Final = "list, 50 bookings"


class BadPage(Exception):
    """A page names a block that is none."""


def fill_page(text: str, record: Record) -> str:
    """Return the page with each of its blocks made anew; raise BadPage."""

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in BLOCKS and not name.startswith(PART):
            raise BadPage(f"There is no block {name!r}.")
        made = BLOCKS[name](record) if name in BLOCKS else show_part(record, name)
        return f"{found['begin']}{made}\n{found['end']}"

    return BLOCK.sub(fill, text)


def write_pages(record: Record) -> list[Path]:
    """Make the blocks of all pages anew; return those that are different now."""
    changed = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        filled = fill_page(text, record)
        if filled != text:
            path.write_text(filled, encoding="utf-8")
            changed.append(path)
    return changed


def to_markdown(table: TextTable) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

    return "\n".join([line(table.head), "|" + "---|" * len(table.head), *map(line, table.rows)])


def show_part(record: Record, name: str) -> str:
    """Return the figures of one part, or that it was not measured."""
    table = list_rows(record).get(name.removeprefix(PART))
    return "Not measured." if table is None else to_markdown(table)


def show_readme(record: Record) -> str:
    """Return what the README says of a list of fifty bookings."""
    costs = record.by_system()[README_OPERATION]
    said = {
        "naive": "before: one record after the other",
        "batched": "asked for the first time",
        "cached": "from the cache",
    }
    away = f"{record.run.latency_ms:g} ms"
    return to_markdown(
        TextTable(
            [
                f"a student's list of 50 bookings, HubSpot {away} away",
                "calls to HubSpot",
                "until it is there",
            ],
            [
                [words, f"{cost.calls:,}", show_ms(cost.p50_ms)]
                for system, cost in costs.items()
                if (words := said.get(system)) is not None
            ],
        )
    )


PART: Final = "part "
BLOCKS: Final[Mapping[str, Callable[[Record], str]]] = MappingProxyType(
    {
        "run": describe,
        "systems": lambda record: to_markdown(compare_systems(record)),
        "costs": lambda record: to_markdown(list_costs(record)),
        "readme": show_readme,
    }
)
