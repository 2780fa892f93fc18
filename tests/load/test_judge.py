"""What the judge of a load run finds wrong, and what the figures are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from tests.load.figures import Figures, Times, find_figures, find_memory, find_times
from tests.load.judge import Check, judge
from tests.load.runs import Run
from tests.load.traffic import Deed, Diary

QUICK = Times(answers=10, average_s=0.01, p50_s=0.01, p95_s=0.02, p99_s=0.03)
NUMBERS = {
    "events delivered": 100.0,
    "events lost": 0.0,
    "stale rows": 0.0,
    "bookings a minute": 4_000.0,
    "growth": 1.0,
    "not served": 0.0,
}
GOOD = Figures(
    system="ours",
    seconds=10.0,
    requests=10,
    unanswered=0,
    times={"list": QUICK},
    answers={"list 200": 10},
    errors={},
    hit_rate=0.99,
    calls=80,
    most_in_window=80,
    limited=0,
    memory_mib=[(100.0, 120.0, 110.0)],
    numbers=NUMBERS,
    broken=(),
)
OLD = dataclasses.replace(
    GOOD,
    system="naive",
    numbers={
        "bookings a minute": 0.0,
        "bookings a minute at best": 127.0,
        "calls that all would take": 10_200.0,
    },
)
SCENARIOS = ("listing", "availability", "events", "morning", "cold", "warm", "soak", "memory")
SLOW = dataclasses.replace(QUICK, average_s=0.31)


def missed(checks: Sequence[Check]) -> list[str]:
    return [check.what for check in checks if not check.holds]


def with_number(name: str, value: float) -> dict[str, Any]:
    return {"numbers": {**NUMBERS, name: value}}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_as_promised_holds(scenario: str) -> None:
    assert missed(judge(scenario, GOOD, OLD)) == []
    assert missed(judge(scenario, GOOD, None)) == []


@pytest.mark.parametrize(
    ("scenario", "changes"),
    [
        *[(name, {"errors": {"list 500 INTERNAL_ERROR": 1}}) for name in SCENARIOS],
        *[(name, {"unanswered": 1}) for name in SCENARIOS],
        *[(name, {"broken": ["no exam is oversold: …"]}) for name in SCENARIOS],
        *[(name, {"limited": 1}) for name in SCENARIOS],
        *[(name, {"most_in_window": 191}) for name in SCENARIOS],
        *[(name, {"times": {}}) for name in ("listing", "availability", "events", "cold", "warm")],
        ("listing", {"times": {"list": SLOW}}),
        ("availability", {"times": {"list": QUICK, "available": SLOW}}),
        ("events", {"times": {"list": SLOW}}),
        ("events", with_number("events delivered", 0)),
        ("events", with_number("events lost", 1)),
        ("events", with_number("stale rows", 1)),
        ("morning", with_number("bookings a minute", 20 * 127 - 1)),
        ("cold", {"calls": 91}),
        ("warm", {"hit_rate": 0.949}),
        ("soak", with_number("growth", 1.051)),
        ("memory", with_number("growth", 1.051)),
        ("memory", with_number("not served", 1)),
    ],
)
def test_each_number_that_is_missed_is_told(scenario: str, changes: dict[str, Any]) -> None:
    assert len(missed(judge(scenario, dataclasses.replace(GOOD, **changes), OLD))) == 1


def test_creates_may_take_longer_than_reads() -> None:
    figures = dataclasses.replace(GOOD, times={"list": QUICK, "create": SLOW})

    assert missed(judge("listing", figures, None)) == []


def test_where_hubspot_had_no_limits_nothing_is_judged_by_them() -> None:
    figures = dataclasses.replace(GOOD, most_in_window=5_000, lifted=True)

    assert missed(judge("memory", figures, None)) == []


def test_the_old_system_is_held_to_the_better_of_what_it_did_and_could() -> None:
    numbers = {**OLD.numbers, "bookings a minute": 201.0}

    assert missed(judge("morning", GOOD, dataclasses.replace(OLD, numbers=numbers))) != []


def deed(**changes: Any) -> Deed:
    usual = {"what": "list", "status": 200, "code": "", "began_s": 0.0, "took_s": 0.1}
    return Deed(**{**usual, "cache": "hit", "student_id": "S1", **changes})


def run_of(deeds: list[Deed], calls: Sequence[dict[str, Any]] = (), asked: int = 0) -> Run:
    diary = Diary(deeds=deeds, asked=asked or len(deeds), seconds=2.0)
    return Run(system="ours", diary=diary, calls=calls, memory=())


def test_figures_count_what_nobody_expects_and_what_nobody_waited_for() -> None:
    full = deed(what="create", status=400, code="EXAM_FULL")
    refused = deed(what="list", status=400, code="EXAM_FULL")
    lost, late = deed(status=0, cache=""), deed(status=503, code="RATE_LIMITED", cache="miss")

    figures = find_figures(run_of([deed(), full, refused, lost, late], asked=7))

    assert figures.errors == {"list 400 EXAM_FULL": 1, "list 0": 1, "list 503 RATE_LIMITED": 1}
    assert (figures.requests, figures.unanswered, figures.per_s) == (5, 2, 2.5)
    assert figures.hit_rate == pytest.approx(3 / 4)


def test_figures_count_hubspots_calls_by_the_window_they_came_in() -> None:
    calls = [{"at": at, "status": 200} for at in (0.0, 1.0, 9.9, 10.5)]

    figures = find_figures(run_of([], [*calls, {"at": 30.0, "status": 429}]))

    assert (figures.calls, figures.most_in_window, figures.limited) == (5, 3, 1)


def test_percentiles_are_answers_that_were_given() -> None:
    times = find_times([number / 100 for number in range(1, 101)])

    assert (times.p50_s, times.p95_s, times.p99_s) == (0.5, 0.95, 0.99)
    assert find_times([0.7]) == Times(answers=1, average_s=0.7, p50_s=0.7, p95_s=0.7, p99_s=0.7)


def test_memory_is_told_of_each_process_that_is_there_at_the_end() -> None:
    mib = 1024**2
    samples = [(0.0, {1: 10 * mib, 7: mib}), (1.0, {1: 30 * mib, 2: mib}), (2.0, {1: 20 * mib})]

    assert find_memory(samples) == [(10.0, 30.0, 20.0)]
    assert find_memory([]) == []
