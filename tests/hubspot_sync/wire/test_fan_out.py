"""Independent calls at the same time, never stuck, however deep or many."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hubspot_sync.wire.fan_out import FanOut

PATIENCE_S = 30.0


@pytest.fixture
def fan_out() -> Iterator[FanOut]:
    pool = FanOut(2)
    yield pool
    pool.close()


def test_results_keep_their_order(fan_out: FanOut) -> None:
    assert fan_out.run([lambda n=n: n * n for n in range(20)]) == [n * n for n in range(20)]


def test_nothing_to_do_is_done(fan_out: FanOut) -> None:
    assert fan_out.run([]) == []


def test_calls_run_at_the_same_time(fan_out: FanOut) -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    fan_out.run([together.wait] * 3)

    assert not together.broken


def test_more_calls_than_threads_run_as_many_at_a_time_to_the_end(fan_out: FanOut) -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    fan_out.run([together.wait] * 12)

    assert not together.broken


def test_a_lone_call_runs_in_the_callers_thread(fan_out: FanOut) -> None:
    assert fan_out.run([threading.get_ident]) == [threading.get_ident()]


def test_the_last_call_runs_in_the_callers_thread_whatever_is_idle(fan_out: FanOut) -> None:
    for _ in range(500):
        *_, last = fan_out.run([threading.get_ident] * 3)

        assert last == threading.get_ident()


def test_calls_within_calls_are_never_stuck(fan_out: FanOut) -> None:
    def deep(level: int) -> int:
        if level == 0:
            return 1
        return sum(fan_out.run([lambda: deep(level - 1)] * 3))

    assert fan_out.run([lambda: deep(4)] * 3) == [81] * 3


def test_many_callers_share_a_small_pool(fan_out: FanOut) -> None:
    sums: list[int] = []

    def caller() -> None:
        sums.append(sum(fan_out.run([lambda n=n: n for n in range(10)])))

    threads = [threading.Thread(target=caller) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert sums == [45] * 30


def test_the_first_error_is_raised_after_all_have_ended(fan_out: FanOut) -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        ended.append(number)
        if number in {1, 3}:
            raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        fan_out.run([lambda n=n: work(n) for n in range(5)])

    assert sorted(ended) == [0, 1, 2, 3, 4]


def test_what_is_under_way_when_the_pool_has_ended_goes_on_by_itself(fan_out: FanOut) -> None:
    """As at the end of the process, where Python ends all pools before anybody is told."""
    fan_out.run([lambda: 1] * 3)
    fan_out.close()

    answers = [fan_out.run([lambda n=n: n for n in range(4)]) for _ in range(3)]

    assert answers == [[0, 1, 2, 3]] * 3
