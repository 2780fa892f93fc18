"""What operations cost, measured against the sandbox: what is counted, and what is compared."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from booking_api.benchmarks.operations import comparison
from booking_api.benchmarks.operations.application import is_unused
from booking_api.benchmarks.operations.catalogue import OPERATIONS, QUICK, Operation
from booking_api.benchmarks.operations.effort import Effort, Repetitions
from booking_api.benchmarks.operations.growth import GROWING
from booking_api.benchmarks.operations.limits import MAX_COUNTS, RATIOS
from booking_api.benchmarks.operations.measurement import (
    SYSTEMS,
    Cost,
    Sample,
    count_round_trips,
    sum_up,
)
from booking_api.benchmarks.processes import find_redis
from hubspot_sync.feed.models import FeedPosition

ONCE = Effort(latency_ms=0, least=1, most=1, limited=False)
NAMED = {operation.name: operation for operation in OPERATIONS}


def chosen(*names: str) -> list[Operation]:
    return [NAMED[name] for name in names]


def by_system(costs: Collection[Cost], name: str) -> dict[str, Cost]:
    return {cost.system: cost for cost in costs if cost.operation == name}


# `make bench ARGS=--check` counts all of our operations, and a test of the README the old system's.
@pytest.mark.chaos
@pytest.mark.django_db(transaction=True)
def test_what_is_asked_again_costs_no_call_also_when_its_time_is_over_and_the_feed_proves_it() -> (
    None
):
    names = ("list, 10 bookings", "available, 20 exams", "available, 20 exams, ids known")

    costs = comparison.measure(chosen(*names), ONCE)

    assert {cost.failure for cost in costs} == {""}
    listed = by_system(costs, "list, 10 bookings")
    assert {system: cost.calls for system, cost in listed.items()} == {
        "naive": 22,
        "batched": 5,
        "cached": 0,
        "feed": 0,
    }
    assert by_system(costs, "available, 20 exams")["batched"].calls == 2
    assert by_system(costs, "available, 20 exams, ids known")["batched"].calls == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_is_known_beforehand_however_often_it_was_asked() -> None:
    thrice = Effort(latency_ms=20, repeat_s=0, least=3, most=3, limited=False)
    names = ("available, 20 exams", "available, 20 exams, realtime")

    costs = comparison.measure(chosen(*names), thrice, systems=("batched",))

    # A busy machine makes more of them, never fewer.
    assert [cost.round_trips >= least for cost, least in zip(costs, (2, 3), strict=True)] == [
        True
    ] * 2


@pytest.mark.django_db(transaction=True)
def test_what_follows_a_write_is_counted_too_and_each_time_is_another_booking() -> None:
    twice = Effort(latency_ms=0, least=2, most=2, limited=False)

    costs = comparison.measure(
        chosen("create", "cancel", "webhook, 50 events"), twice, systems=("cached",)
    )

    assert {cost.failure for cost in costs} == {""}
    for name in ("create", "cancel"):
        found = by_system(costs, name)["cached"]
        assert 0 < found.calls < found.calls_in_all
    events = by_system(costs, "webhook, 50 events")["cached"]
    assert events.calls == 0 < events.calls_in_all
    assert is_unused()


@pytest.mark.django_db
def test_a_database_that_is_somebodys_is_left_alone() -> None:
    FeedPosition.objects.create(source="theirs", portal_id="1")

    with pytest.raises(comparison.DatabaseInUse):
        comparison.measure(chosen("one booking"), ONCE)

    assert FeedPosition.objects.count() == 1


def call(at: float, took: float) -> dict[str, Any]:
    return {"at": at, "duration_ms": took * 1000}


@pytest.mark.parametrize(
    ("calls", "round_trips"),
    [
        ([], 0),
        ([call(0, 1)], 1),
        ([call(0, 1), call(0.1, 1), call(0.2, 1)], 1),
        ([call(0, 1), call(1, 1), call(2, 1)], 3),
        ([call(0, 3), call(0, 1), call(1, 1), call(3.5, 1)], 3),
        ([call(2, 1), call(0, 1)], 2),
    ],
)
def test_round_trips_are_the_longest_chain_of_calls(
    calls: list[dict[str, Any]], round_trips: int
) -> None:
    assert count_round_trips(calls) == round_trips


def sample(took_ms: float, *, calls: int = 3, round_trips: int = 2, failure: str = "") -> Sample:
    return Sample(
        took_ms=took_ms, calls=calls, calls_in_all=4, round_trips=round_trips, failure=failure
    )


def test_the_most_calls_and_the_median_of_round_trips_count() -> None:
    samples = [sample(1000.0 + number) for number in range(19)]

    found = sum_up("any", "batched", [*samples, sample(2000, calls=5, round_trips=3)], 100)

    assert (found.n, found.calls, found.calls_in_all, found.round_trips) == (20, 5, 4, 2)
    assert (found.p50_ms, found.p95_ms, found.own_ms) == (1009.5, 1018, 809.5)


def test_one_failure_is_told_of_all() -> None:
    assert sum_up("any", "naive", [sample(1), sample(2, failure="429")], 100).failure == "429"


def test_an_operation_is_repeated_as_often_as_wanted_and_not_after_a_failure() -> None:
    effort = Effort(repeat_s=0, least=3)

    def repeat(failures: set[int], effort: Effort = effort) -> int:
        repetitions = Repetitions(effort, 5)
        for number in repetitions:
            repetitions.samples.append(sample(1, failure="x" if number in failures else ""))
        return len(repetitions.samples)

    assert repeat(set()) == 3
    assert repeat({1}) == 2
    assert repeat(set(), Effort(repeat_s=3600)) == 5
    assert repeat(set(), Effort(repeat_s=3600, patience_s=0)) == 1


def test_a_redis_that_does_not_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")

    assert find_redis() == ""


def test_each_operation_has_a_name_of_its_own_and_limits_are_of_operations() -> None:
    names = [operation.name for operation in (*OPERATIONS, *GROWING)]

    assert len(names) == len(set(names))
    assert {name for name, _ in MAX_COUNTS} | {ratio.operation for ratio in RATIOS} <= set(names)
    assert set(names) >= QUICK
    assert {system for operation in OPERATIONS for system in operation.systems} == set(SYSTEMS)
