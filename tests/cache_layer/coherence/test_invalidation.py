"""Invalidation on purpose: what goes, what is previewed, and what is remembered."""

from __future__ import annotations

import pytest

from cache_layer import MISS, BadPattern, Cache, Cause, Count, Invalidation
from tests.cache_layer.support import value_of
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S


@pytest.fixture(autouse=True)
def warm(cache: Cache, truth: Truth) -> None:
    """Three exams and a page built from them."""
    truth.exams = {"1": "one", "2": "two", "3": "three"}
    cache.reader.read_many(truth.exam, truth.keys("1", "2", "3"), "", wait_s=WAIT_LIMIT_S)
    cache.reader.read(truth.page, truth.page.key(name="all"), "", wait_s=WAIT_LIMIT_S)


def test_a_preview_counts_what_would_go(cache: Cache) -> None:
    invalidator = cache.invalidator

    assert invalidator.preview_tags(["exam:1"]) == 2
    assert invalidator.preview_keys(["exam:1", "exam:9"]) == 1
    assert invalidator.preview_pattern("exam:*") == 3
    assert invalidator.preview_family("page") == 1
    assert invalidator.preview_everything() == 4
    assert cache.backend.size().total_entries == 4


def test_each_way_removes_what_its_preview_counted(cache: Cache) -> None:
    def forced(removed: Invalidation) -> int:
        return removed.total_removed

    invalidator = cache.invalidator
    assert forced(invalidator.invalidate_keys(["exam:1"], cause=Cause.FORCED)) == 1
    assert forced(invalidator.invalidate_tags(["exam:2"], cause=Cause.FORCED)) == 2
    assert forced(invalidator.invalidate_pattern("exam:3*", cause=Cause.FORCED)) == 1
    assert forced(invalidator.invalidate_everything(cause=Cause.FORCED)) == 0


def test_a_family_goes_alone(cache: Cache) -> None:
    cache.invalidator.invalidate_family("exam", cause=Cause.FORCED)

    assert cache.backend.size().entries == {"page": 1}


@pytest.mark.parametrize("pattern", ["*", "exam:?", ""])
def test_a_pattern_that_is_none_removes_nothing(cache: Cache, pattern: str) -> None:
    with pytest.raises(BadPattern):
        cache.invalidator.invalidate_pattern(pattern, cause=Cause.FORCED)
    with pytest.raises(BadPattern):
        cache.invalidator.invalidate_family(pattern, cause=Cause.FORCED)

    assert cache.backend.size().total_entries == 4


def test_the_latest_requests_say_what_why_and_who(cache: Cache) -> None:
    told: list[Invalidation] = []
    cache.invalidator.add_observer(told.append)
    cache.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)
    cache.invalidator.invalidate_family("exam", cause=Cause.FORCED, who="anna")

    latest = cache.invalidator.latest

    assert [(each.scope, each.named, each.cause, each.who) for each in latest] == [
        ("family", ("exam",), Cause.FORCED, "anna"),
        ("tags", ("exam:1",), Cause.WEBHOOK, ""),
    ]
    assert latest[0].removed == {"exam": 2}
    assert told == [latest[1], latest[0]]
    picture = cache.counters.snapshot()
    assert picture.by_detail(Count.INVALIDATIONS) == {"webhook": 1, "forced": 1}
    assert picture.by_detail(Count.REMOVALS, "exam") == {"webhook": 1, "forced": 2}


def test_looking_up_a_key_shows_its_entry(cache: Cache, truth: Truth) -> None:
    held = cache.peek("exam:1")

    assert held is not MISS
    assert value_of(truth.exam, held) == "one"
    assert held.entry.tags == {"exam:1"}
    assert 0 < held.ttl_left_s <= 60
    with pytest.raises(BadPattern):
        cache.peek("no:such:key")
