"""Validation: what drifted is found, repaired and reported; what changed meanwhile is not."""

from __future__ import annotations

import pytest

from cache_layer import (
    MISS,
    Cache,
    CacheConfig,
    CacheStatus,
    Cause,
    Comparison,
    Count,
    open_cache,
)
from cache_layer.operating.validation import Validator
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.support import Clock, value_of
from tests.cache_layer.truth import TTL_S, Truth
from tests.waiting import WAIT_LIMIT_S


@pytest.fixture(autouse=True)
def warm(cache: Cache, truth: Truth) -> None:
    """Thirty exams and a page built from them."""
    truth.exams = {str(number): f"exam {number}" for number in range(30)}
    cache.reader.read_many(truth.exam, truth.keys(*truth.exams), "", wait_s=WAIT_LIMIT_S)
    cache.reader.read(truth.page, truth.page.key(name="all"), "", wait_s=WAIT_LIMIT_S)
    truth.loads.clear()


def test_a_true_cache_has_no_drift(cache: Cache, truth: Truth) -> None:
    report = Validator(cache).run("")

    assert report.by_family == {"exam": {Comparison.SAME: 10}, "page": {Comparison.SAME: 1}}
    assert (report.drifted, report.complete) == (False, True)
    assert [len(load) for load in truth.loads] == [10, 1]


def test_a_lost_invalidation_is_found_and_all_built_from_it_repaired(
    cache: Cache, truth: Truth
) -> None:
    truth.exams["7"] = "edited, and the webhook was lost"

    report = Validator(cache).run("", sample=None)

    assert {(drift.key, drift.verdict, drift.repaired) for drift in report.drifts} >= {
        ("exam:7", Comparison.DIFFERS, True)
    }
    exam = cache.reader.read(truth.exam, truth.key("7"), "", wait_s=WAIT_LIMIT_S)
    page = cache.reader.read(truth.page, truth.page.key(name="all"), "", wait_s=WAIT_LIMIT_S)
    assert (exam.value, exam.cache_status) == (truth.exams["7"], CacheStatus.HIT)
    assert page.value is not MISS
    assert b"the webhook was lost" in page.value
    assert cache.counters.snapshot().total(Count.DRIFTS, "exam") == 1


def test_a_repair_takes_what_was_not_in_the_sample_too(cache: Cache, truth: Truth) -> None:
    truth.exams["7"] = "edited, and the webhook was lost"

    Validator(cache).run("", sample=None, families=["exam"])

    assert cache.peek("page:all") is MISS


def test_a_deleted_record_is_drift_and_its_entry_goes(cache: Cache, truth: Truth) -> None:
    del truth.exams["7"]

    report = Validator(cache).run("", sample=None)

    assert report.total(Comparison.GONE) == 1
    assert cache.peek("exam:7") is MISS


def test_without_repair_drift_is_only_reported(cache: Cache, truth: Truth) -> None:
    truth.exams["7"] = "edited"

    report = Validator(cache).run("", sample=None, repair=False)

    assert report.drifted
    assert not any(drift.repaired for drift in report.drifts)
    assert value_of(truth.exam, cache.peek("exam:7")) == "exam 7"


def test_what_was_invalidated_while_being_compared_is_skipped(cache: Cache, truth: Truth) -> None:
    def edit() -> None:
        truth.before_answering = lambda: None
        truth.exams["7"] = "edited"
        cache.invalidator.invalidate_tags(["exam:7"], cause=Cause.WEBHOOK)

    truth.exams["7"] = "seen by the reload"
    truth.before_answering = edit

    report = Validator(cache).run("", sample=None)

    assert report.by_family["exam"] == {Comparison.SAME: 29, Comparison.SKIPPED: 1}


def test_what_the_truth_does_not_say_is_unknown_and_stays(cache: Cache, truth: Truth) -> None:
    truth.unknown = {"7"}

    report = Validator(cache).run("", sample=None)

    assert report.by_family["exam"] == {Comparison.SAME: 29, Comparison.UNKNOWN: 1}
    assert not report.complete
    assert value_of(truth.exam, cache.peek("exam:7")) == "exam 7"


def test_an_outage_makes_all_unknown_and_repairs_nothing(cache: Cache, truth: Truth) -> None:
    truth.failing = ConnectionError("down")

    report = Validator(cache).run("")

    assert report.by_family["exam"] == {Comparison.UNKNOWN: 10}
    assert cache.backend.size().total_entries == 31


def test_progress_is_told_batch_by_batch(cache: Cache, truth: Truth) -> None:
    told: list[tuple[str, int, int]] = []

    Validator(cache).run("", sample=None, progress=lambda *step: told.append(step))

    assert told == [("exam", 30, 30), ("page", 1, 1)]


@pytest.fixture
def proven(make_locmem: MakeLocMem, truth: Truth, clock: Clock) -> Cache:
    """A cache whose entries have outlived their time to live."""
    cache = open_cache(truth.catalogue, CacheConfig(settle_s=0), backend=make_locmem(settle_s=0))
    epoch = cache.freshness.begin_epoch(["exam", "page"], term=1)
    clock.advance(1)
    cache.reader.read_many(truth.exam, truth.keys(*truth.exams), "", wait_s=WAIT_LIMIT_S)
    clock.advance(TTL_S + 1)
    assert cache.freshness.confirm(epoch, cache.freshness.read_clock(), term=1)
    return cache


def test_what_outlives_its_time_and_is_true_proves_on(proven: Cache) -> None:
    report = Validator(proven).run("", sample=None)

    assert report.total(Comparison.SAME) == 30
    assert proven.freshness.describe().proven


@pytest.mark.parametrize("repair", [True, False])
def test_what_outlives_its_time_and_is_wrong_ends_the_proof(
    proven: Cache, truth: Truth, *, repair: bool
) -> None:
    truth.exams["7"] = "edited, and the feed did not tell"

    report = Validator(proven).run("", sample=None, repair=repair)

    assert [(drift.key, drift.outlived) for drift in report.drifts] == [("exam:7", True)]
    assert proven.freshness.describe().epoch == ""
    assert proven.peek("exam:8") is MISS


def test_a_drift_within_its_time_ends_no_proof(proven: Cache, truth: Truth) -> None:
    proven.invalidator.invalidate_tags(["exam:7"], cause=Cause.FEED)
    proven.reader.read(truth.exam, truth.key("7"), "", wait_s=WAIT_LIMIT_S)
    truth.exams["7"] = "edited, and the feed is yet to tell"

    report = Validator(proven).run("", sample=None)

    assert [(drift.key, drift.outlived) for drift in report.drifts] == [("exam:7", False)]
    assert proven.freshness.describe().proven
