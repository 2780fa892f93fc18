"""What is kept on record of invalidations and validations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection

from cache_layer import Cache, CacheConfig, Cause, open_cache
from cache_layer.models import CacheInvalidation, ValidationRun
from cache_layer.operating.audit import record_invalidation, validate_and_record
from cache_layer.operating.host import CacheHost
from tests.cache_layer.truth import Truth


@pytest.fixture
def audited(truth: Truth) -> Iterator[Cache]:
    cache = open_cache(truth.catalogue, CacheConfig())
    cache.invalidator.add_observer(record_invalidation)
    yield cache
    cache.close()


def access_to(cache: Cache) -> CacheHost:
    return CacheHost(cache=cache, subjects={}, load_context=lambda: "anew", self_test=lambda: ())


def hold(cache: Cache, truth: Truth, *exam_ids: str) -> None:
    for exam_id in exam_ids:
        truth.exams[exam_id] = f"exam {exam_id}"
    cache.reader.read_many(truth.exam, truth.keys(*exam_ids), "now", wait_s=5)


@pytest.mark.django_db
def test_who_removed_what_and_why_is_kept(audited: Cache, truth: Truth) -> None:
    hold(audited, truth, "1", "2")

    audited.invalidator.invalidate_family("exam", cause=Cause.FORCED, who="olga", reason="restored")

    row = CacheInvalidation.objects.get()
    assert (row.who, row.reason) == ("olga", "restored")
    assert (row.scope, row.named) == ("family", ["exam"])
    assert (row.removed, row.removed_by_family, row.delivered) == (2, {"exam": 2}, True)


@pytest.mark.django_db
def test_a_webhooks_invalidation_is_not_kept(audited: Cache) -> None:
    audited.invalidator.invalidate_tags(["exam:1"], cause=Cause.WEBHOOK)

    assert CacheInvalidation.objects.count() == 0
    assert audited.invalidator.latest[0].named == ("exam:1",)


@pytest.mark.django_db
def test_what_a_validation_found_is_kept(audited: Cache, truth: Truth) -> None:
    hold(audited, truth, "1", "2", "3")
    truth.exams["1"] = "another"
    truth.unknown.add("3")

    validate_and_record(access_to(audited), who="cron")

    run = ValidationRun.objects.get()
    assert (run.who, run.sampled, run.drifted, run.repaired, run.unknown) == ("cron", 3, 1, 1, 1)
    assert run.by_family["exam"] == {"same": 1, "differs": 1, "unknown": 1}
    assert run.error == ""


@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_entries_go_and_the_log_says_what_is_missing(
    audited: Cache, truth: Truth, caplog: pytest.LogCaptureFixture
) -> None:
    hold(audited, truth, "1")

    def refuse(*_: object) -> None:
        raise OperationalError("no database")

    with caplog.at_level(logging.ERROR), connection.execute_wrapper(refuse):
        done = audited.invalidator.invalidate_everything(cause=Cause.FORCED, who="olga@example.org")
        report = validate_and_record(access_to(audited), who="cron")

    assert done.total_removed == 1
    assert report.drifted is False
    assert "no record of this invalidation" in caplog.text
    assert "no record of this validation run" in caplog.text
    assert "olga@example.org" not in caplog.messages[0]


def take_no_rows(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
    """As a database whose numbers for new rows are taken, after it was restored from a copy."""
    if sql.startswith("INSERT"):
        raise IntegrityError("duplicate key")
    return execute(sql, *rest)


@pytest.mark.django_db
def test_a_row_that_the_database_refuses_is_no_form_that_was_sent_twice(
    audited: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), connection.execute_wrapper(take_no_rows):
        for token in (None, uuid4()):
            audited.invalidator.invalidate_everything(cause=Cause.FORCED, who="olga", token=token)

    assert caplog.text.count("no record of this invalidation") == 2


@pytest.mark.django_db
def test_a_form_that_is_sent_twice_at_one_moment_has_one_record(
    audited: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    token = uuid4()

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            audited.invalidator.invalidate_everything(cause=Cause.FORCED, who="olga", token=token)

    assert CacheInvalidation.objects.get().token == token
    assert caplog.text == ""
