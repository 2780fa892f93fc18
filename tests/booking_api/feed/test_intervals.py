"""What is costly is done again at growing distances for a cause that lasts."""

from __future__ import annotations

from hubspot_sync.feed.intervals import SOON, GrowingInterval
from tests.journal import Seconds


def wait_until_over(interval: GrowingInterval, seconds: Seconds) -> int:
    waited_s = 0
    while not interval.is_over:
        seconds.move(1)
        waited_s += 1
    return waited_s


def test_a_cause_that_lasts_is_met_later_and_later(seconds: Seconds) -> None:
    interval = GrowingInterval(first_s=60, max_s=300, clock=seconds)
    waits = []
    for _ in range(5):
        waits.append(wait_until_over(interval, seconds))
        interval.begin()

    assert waits == [0, 60, 120, 240, 300]


def test_one_that_comes_back_after_long_is_met_as_the_first_time(seconds: Seconds) -> None:
    interval = GrowingInterval(first_s=60, max_s=300, clock=seconds)
    interval.begin()
    interval.begin()
    seconds.move(SOON * 120)
    interval.begin()

    assert wait_until_over(interval, seconds) == 60
