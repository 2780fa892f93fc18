"""Counts against the record: what is worse fails, what is better is to be recorded."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from booking_api.benchmarks.operations.measurement import Cost, System
from booking_api.benchmarks.record.check import (
    Finding,
    Verdict,
    compare_costs,
    compare_rows,
    judge,
    print_findings,
)
from booking_api.benchmarks.record.results import Record
from booking_api.benchmarks.report import Row
from tests.booking_api.benchmarks.records import LIST, WHOLE, cost, record

ONE_BOOKING = cost("one booking", "batched")


def verdicts(measured: Cost, kept: Record) -> dict[str, Verdict]:
    return {
        found.what.partition(": ")[2]: found.verdict for found in compare_costs([measured], kept)
    }


def test_the_same_counts_pass() -> None:
    assert set(verdicts(ONE_BOOKING, record(ONE_BOOKING)).values()) == {Verdict.SAME}


@pytest.mark.parametrize("count", ["calls", "calls_in_all", "round_trips"])
def test_one_more_than_recorded_fails(count: str) -> None:
    doctored = replace(ONE_BOOKING, **{count: getattr(ONE_BOOKING, count) - 1})

    found = {each.what: each for each in compare_costs([ONE_BOOKING], record(doctored))}

    worse = [each for each in found.values() if each.fails]
    assert [(each.measured, each.recorded, each.verdict) for each in worse] == [
        (getattr(ONE_BOOKING, count), getattr(doctored, count), Verdict.WORSE)
    ]
    assert count.replace("_", " ") in worse[0].what


def test_fewer_than_recorded_passes_and_says_so() -> None:
    doctored = replace(ONE_BOOKING, calls=9)

    assert verdicts(ONE_BOOKING, record(doctored))["calls"] is Verdict.BETTER


def test_a_time_is_never_compared() -> None:
    slow = replace(ONE_BOOKING, p50_ms=1e6, p95_ms=1e6, own_ms=1e6)

    assert set(verdicts(slow, record(ONE_BOOKING)).values()) == {Verdict.SAME}


def test_a_limit_holds_whatever_is_recorded() -> None:
    six = cost(LIST, "batched", calls=6)

    assert verdicts(six, record(six))["calls"] is Verdict.MISSED


@pytest.mark.parametrize("system", ["cached", "feed"])
def test_what_is_read_again_may_cost_nothing(system: System) -> None:
    one = cost(LIST, system, calls=1)

    assert verdicts(one, record(one))["calls"] is Verdict.MISSED


def test_no_answer_fails_whatever_it_cost() -> None:
    refused = replace(ONE_BOOKING, failure="status 503", calls=1)

    assert set(verdicts(refused, record(ONE_BOOKING)).values()) == {Verdict.UNANSWERED}


def test_what_is_not_recorded_fails() -> None:
    assert set(verdicts(ONE_BOOKING, record()).values()) == {Verdict.UNRECORDED}


def test_what_is_recorded_and_not_measured_fails_but_for_what_was_to_be_left_out() -> None:
    gone, naive = cost("two bookings", "batched"), cost("two bookings", "naive")
    left_out = cost("list, 5,000 bookings", "batched")

    found = compare_costs(
        [ONE_BOOKING],
        record(ONE_BOOKING, gone, naive, left_out),
        left_out={left_out.operation},
    )

    failing = [each for each in found if each.fails]
    assert [(each.what, each.verdict) for each in failing] == [
        ("two bookings, batched", Verdict.UNMEASURED)
    ]


def test_calls_that_follow_events_of_the_feed_are_not_compared() -> None:
    create = cost("create", "feed", calls=4)

    assert "calls in all" not in verdicts(replace(create, calls_in_all=99), record(create))


def test_round_trips_that_wait_for_the_limit_are_not_compared() -> None:
    many = cost("sync_capacity, 1,000 exams", "batched", calls=220)

    assert set(verdicts(replace(many, round_trips=999), record(many)).values()) == {Verdict.SAME}


def hour(value: float, name: str = "hit rate") -> Row:
    return Row(part="hour", name=name, value=value, minimum=0.3)


def test_figures_of_a_part_are_compared_the_way_they_are_better() -> None:
    kept = record(rows=(hour(0.5), hour(0.4, "gone"), replace(hour(0.1), part="feed")))

    found = list(compare_rows([hour(0.4), hour(0.9, "new")], kept, "hour"))

    assert [each.verdict for each in found] == [
        *(Verdict.WORSE, Verdict.UNRECORDED, Verdict.UNMEASURED)
    ]


@given(measured=st.integers(0, 500), recorded=st.integers(0, 500), most=st.integers(0, 500))
def test_more_is_never_taken_for_as_good(measured: int, recorded: int, most: int) -> None:
    found = Finding(
        what="",
        measured=measured,
        recorded=recorded,
        limit=most,
        verdict=judge(Row(part="", name="", value=measured, maximum=most), recorded),
    )

    assert found.fails == (measured > recorded or measured > most)


def test_a_figure_is_compared_as_it_is_written() -> None:
    """Four digits: what was written of a third is not worse than a third."""
    assert judge(hour(1 / 3), 0.3333) is Verdict.SAME
    assert judge(hour(1 / 3), 0.3334) is Verdict.WORSE


def test_the_table_shows_what_is_different_and_a_sentence_sums_up() -> None:
    shown = io.StringIO()
    worse = cost("create", "batched", calls=7)
    kept = record(ONE_BOOKING, replace(worse, calls=6))

    print_findings(Console(file=shown, width=160), list(compare_costs([ONE_BOOKING, worse], kept)))

    said = shown.getvalue()
    assert "create, batched: calls" in said
    assert "worse than recorded" in said
    assert "one booking" not in said
    assert "6 counts compared with the record: 1 worse, 0 better." in said


def test_a_record_agrees_with_itself() -> None:
    ours = [each for each in WHOLE.operations if each.system != "naive"]

    assert not any(each.fails for each in compare_costs(ours, WHOLE))
