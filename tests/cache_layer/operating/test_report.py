"""The cache in numbers, and what of it is logged."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from cache_layer import (
    ArgumentType,
    Cache,
    CacheConfig,
    Catalogue,
    Count,
    Counters,
    Family,
    HiddenNames,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
    open_cache,
)
from cache_layer.operating.admin_page import (
    build_bars,
    describe_scope,
    explain_refusals,
    format_percent,
)
from cache_layer.operating.report import build_report
from tests.cache_layer.truth import Truth

NOW = datetime(2026, 11, 23, 12, 30, 20, tzinfo=UTC)


def test_each_minute_of_the_last_hour_is_there_and_older_ones_are_not(truth: Truth) -> None:
    now = NOW - timedelta(minutes=61)
    counters = Counters(clock=lambda: now)
    cache = open_cache(truth.catalogue, CacheConfig(), counters=counters)
    counters.add(Count.HITS, "exam", 50)
    now = NOW - timedelta(minutes=2)
    counters.add(Count.HITS, "exam", 3)
    counters.add(Count.MISSES, "page", 1)
    now = NOW

    numbers = build_report(cache, NOW)
    cache.close()

    assert len(numbers.minutes) == 60
    assert [(m.hits, m.misses) for m in numbers.minutes[-3:]] == [(3, 1), (0, 0), (0, 0)]
    assert sum(minute.hits for minute in numbers.minutes) == 3
    assert numbers.hour_hit_rate == 0.75
    assert numbers.hit_rate == pytest.approx(53 / 54)
    exam = next(family for family in numbers.families if family.name == "exam")
    assert (exam.hit_rate, exam.hour_hit_rate, exam.counts[Count.HITS]) == (1.0, 1.0, 53)


def test_what_is_held_is_counted_by_family(cache: Cache, truth: Truth) -> None:
    truth.exams["1"] = "odd"
    cache.reader.read(truth.exam, truth.key("1"), "now", wait_s=5)

    numbers = build_report(cache, NOW)

    assert (numbers.available, numbers.entries, numbers.payload_bytes) == (True, 1, 4)
    assert {family.name: family.entries for family in numbers.families} == {"exam": 1, "page": 0}


def test_a_bar_is_as_high_as_its_minute_was_busy(truth: Truth) -> None:
    counters = Counters(clock=lambda: NOW)
    cache = open_cache(truth.catalogue, CacheConfig(), counters=counters)
    counters.add(Count.HITS, "exam", 3)
    counters.add(Count.MISSES, "exam", 1)

    drawn = build_bars(build_report(cache, NOW).minutes)
    cache.close()

    assert (drawn[-1].hits_height, drawn[-1].misses_height) == (75, 25)
    assert (drawn[-1].misses_top, drawn[-1].hits_top) == (0, 25)
    assert drawn[-1].words == "12:30: 3 hits, 1 misses"
    assert drawn[0].hits_height == 0


def test_words_for_people() -> None:
    assert (format_percent(None), format_percent(0.756)) == ("—", "76 %")
    assert explain_refusals({"partial": 1, "lost": 5})[0][0] == "lost"
    assert describe_scope("all", []) == "everything"
    assert describe_scope("tags", ["a", "b", "c", "d"]) == "tags: a, b, c and 1 more"
    assert (
        describe_scope("keys", ["contact:ada@example.org:details"]) == "keys: contact:…@…:details"
    )


def test_hits_misses_and_loads_are_logged_with_the_family_and_no_email(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = HiddenNames.of_secrets(["a secret"])
    contacts = Family[str, str](
        name="contacts",
        patterns=(KeyPattern("contact:{email}:details", names, email=ArgumentType.EMAIL),),
        values=ValueCodec(str),
        ttl_s=60,
        load_many=lambda keys, _: LoadResult(
            loaded={key: LoadedValue.built_from("x", ()) for key in keys}
        ),
    )
    cache = open_cache(Catalogue([contacts]), CacheConfig())
    key = contacts.key(email="ada@example.org")

    with caplog.at_level(logging.DEBUG, logger="cache_layer"):
        for _ in range(2):
            cache.reader.read(contacts, key, "now", wait_s=5)
    cache.close()

    assert "cache: contacts, 1 of 1 missed" in caplog.text
    assert "cache load: contacts, 1 entries" in caplog.text
    assert "cache: contacts, 0 of 1 missed" in caplog.text
    assert "ada" not in caplog.text
