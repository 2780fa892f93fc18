"""Pages say what is recorded: their blocks are made of the record, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from booking_api.benchmarks.record.html import REPORT, render_report
from booking_api.benchmarks.record.pages import BLOCK, PAGES, BadPage, fill_page
from booking_api.benchmarks.record.results import read_record
from booking_api.management.commands.benchmark import PARTS
from tests.booking_api.benchmarks.records import WHOLE

MARK = "<!-- made of bench/results.json: {} -->"


def block(name: str, inside: str = "old\n") -> str:
    return f"Before.\n\n{MARK.format(name)}\n{inside}<!-- end -->\n\nAfter.\n"


def test_a_block_is_made_anew_and_nothing_else() -> None:
    filled = fill_page(block("systems"), WHOLE)

    assert filled.startswith("Before.\n\n<!-- made")
    assert filled.endswith("<!-- end -->\n\nAfter.\n")
    assert "old" not in filled
    assert "| list, 50 bookings | 102 calls, 10.2 s | 5 calls, 505 ms | 0 calls, 5.0 ms |" in filled
    assert "236 calls, then no answer within 23.6 s" in filled
    assert fill_page(filled, WHOLE) == filled


def test_blocks_do_not_run_into_one_another() -> None:
    filled = fill_page(block("run") + block("part hour"), WHOLE)

    assert filled.count("<!-- end -->") == 2
    assert "Python 3.11.9, 2 cores, HubSpot 100 ms away." in filled
    assert "| hit rate | 0.5, **missed** | at least 0.7 |" in filled


def test_a_part_that_was_not_measured_says_so() -> None:
    assert "Not measured." in fill_page(block("part feed"), WHOLE)


def test_a_block_that_is_none_is_refused() -> None:
    with pytest.raises(BadPage, match="system"):
        fill_page(block("system"), WHOLE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_and_record_agree(path: Path) -> None:
    kept = read_record()
    text = path.read_text(encoding="utf-8")

    assert BLOCK.search(text) is not None
    assert fill_page(text, kept) == text, "make bench ARGS=--write-docs"


def test_report_and_record_agree() -> None:
    assert REPORT.read_text(encoding="utf-8") == render_report(read_record())


def test_the_page_has_a_block_for_each_part_with_figures() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    shown = {found["name"] for found in BLOCK.finditer(text)}

    assert {f"part {part}" for part in PARTS if part != "growth"} <= shown
