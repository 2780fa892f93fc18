"""Counters: by family, detail and minute, in a picture that does not change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cache_layer.counters import Cause, Count, Counters

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


class Hands:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def test_counts_add_up_by_family_and_detail() -> None:
    counters = Counters()
    counters.add(Count.HITS, "exam", 3)
    counters.add(Count.MISSES, "exam")
    counters.add(Count.HITS, "page")
    counters.add(Count.REMOVALS, "page", 2, Cause.WEBHOOK)
    counters.add(Count.REMOVALS, "page", 5, Cause.WRITE)

    picture = counters.snapshot()

    assert picture.total(Count.HITS) == 4
    assert picture.by_family(Count.HITS) == {"exam": 3, "page": 1}
    assert picture.by_detail(Count.REMOVALS) == {"webhook": 2, "write": 5}
    assert picture.hit_rate("exam") == 0.75
    assert picture.hit_rate() == 0.8
    assert picture.hit_rate("nothing yet") is None


def test_a_picture_does_not_change() -> None:
    counters = Counters()
    counters.add(Count.HITS, "exam")
    picture = counters.snapshot()

    counters.add(Count.HITS, "exam")

    assert picture.total(Count.HITS) == 1
    assert sum(picture.minutes[0].tallies.values()) == 1


def test_the_last_hour_is_kept_by_the_minute() -> None:
    hands = Hands()
    counters = Counters(clock=hands)
    for _ in range(70):
        counters.add(Count.HITS, "exam")
        hands.now += timedelta(minutes=1)

    picture = counters.snapshot()

    assert len(picture.minutes) == 59
    assert picture.minutes[-1].at == NOON.replace(second=0) + timedelta(minutes=69)
    assert picture.total(Count.HITS) == 70


def test_an_hour_without_readers_is_empty() -> None:
    hands = Hands()
    counters = Counters(clock=hands)
    counters.add(Count.HITS, "exam")
    hands.now += timedelta(hours=2)

    assert counters.snapshot().minutes == ()
