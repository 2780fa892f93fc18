"""What people and programs are shown of a load run."""

from __future__ import annotations

import dataclasses
from io import StringIO
from pathlib import Path

import orjson
from rich.console import Console

from tests.load.judge import judge
from tests.load.report import Outcome, describe_machine, print_outcome, write_json
from tests.load.test_judge import GOOD, OLD

UNANSWERED = dataclasses.replace(OLD, times={}, answers={}, unanswered=50)


def outcome_of(**changes: object) -> Outcome:
    ours = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    checks = judge("cold", ours, OLD)
    return Outcome(name="cold", what="so many", figures=[ours, UNANSWERED], checks=checks)


def printed(outcome: Outcome) -> str:
    text = StringIO()
    print_outcome(Console(file=text, width=200), outcome)
    return text.getvalue()


def test_the_table_shows_both_systems_and_every_number_that_was_judged() -> None:
    text = printed(outcome_of())

    assert "this system" in text
    assert "the old one" in text
    assert "50 not answered" in text
    assert "calls to HubSpot for all: 80 (wanted: at most 90)" in text
    assert "MISSED" not in text


def test_a_number_that_is_missed_stands_out() -> None:
    outcome = outcome_of(calls=113)

    assert "MISSED  calls to HubSpot for all: 113 (wanted: at most 90)" in printed(outcome)
    assert not outcome.holds


def test_what_was_left_out_says_why_and_misses_nothing() -> None:
    outcome = Outcome(name="warm", what="a rush", left_out="left out: no Redis")

    assert "warm: left out: no Redis" in printed(outcome)
    assert outcome.holds


def test_programs_are_told_all_of_it(tmp_path: Path) -> None:
    record = tmp_path / "bench" / "load.json"
    write_json(record, [outcome_of(calls=113)], describe_machine("SQLite", quick=True))

    told = orjson.loads(record.read_bytes())

    assert told["machine"]["quick"] is True
    cold = told["scenarios"]["cold"]
    assert [figures["system"] for figures in cold["figures"]] == ["ours", "naive"]
    assert [check["holds"] for check in cold["checks"]].count(False) == 1
