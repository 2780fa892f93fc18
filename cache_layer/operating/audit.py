"""Keeping on record who removed what, and what each validation found.

The record is written after the deed and never undoes it: with the database down an invalidation
stands, and the log says that its record is missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, models, transaction

from cache_layer.coherence.invalidation import Invalidation
from cache_layer.entries.keys import escape
from cache_layer.errors import BackendUnavailable, SentBefore
from cache_layer.models import CacheInvalidation, ValidationRun
from cache_layer.operating.host import CacheHost
from cache_layer.operating.manual_invalidation import InvalidationRequest, remove
from cache_layer.operating.validation import (
    DEFAULT_SAMPLE,
    Comparison,
    Progress,
    ValidationReport,
    Validator,
)

logger = logging.getLogger(__name__)

FORGOTTEN = "(forgotten)"


def record_invalidation(invalidation: Invalidation) -> None:
    """Save an invalidation that somebody asked for; an observer for the cache's invalidator. Those
    of webhooks and writes have nobody behind them and are too many to keep."""
    if invalidation.who == "":
        return
    _save(
        CacheInvalidation(
            at=invalidation.at,
            who=invalidation.who,
            reason=invalidation.reason,
            scope=invalidation.scope,
            named=list(invalidation.named),
            removed=invalidation.total_removed,
            removed_by_family=dict(invalidation.removed),
            delivered=invalidation.delivered,
            token=invalidation.token,
        )
    )


def remove_once(
    host: CacheHost,
    request: InvalidationRequest,
    *,
    who: str,
    reason: str,
    token: UUID | None,
) -> Invalidation:
    """Remove entries as `remove` does, which raises; raise SentBefore where what the form of this
    token asks for is on record already."""
    if token is not None and _is_recorded(token):
        raise SentBefore
    return remove(host, request, who=who, reason=reason, token=token)


def _is_recorded(token: UUID) -> bool:
    """Where the database does not say, a form is taken for new: what goes twice is gone."""
    try:
        return CacheInvalidation.objects.filter(token=token).exists()
    except DatabaseFailure:
        logger.exception("The audit does not say whether a form was sent before")
        return False


def count_named(words: Collection[str]) -> int:
    """Return how many records name one of these words, as a key with an e-mail does."""
    return len(_find_named(words))


def forget_named(words: Collection[str]) -> int:
    """Take these words' places in the records of who removed what: what was named, and why, goes;
    that something was removed, and by whom, stays. Return of how many records."""
    found = _find_named(words)
    CacheInvalidation.objects.filter(pk__in=found).update(named=[FORGOTTEN], reason="")
    return len(found)


def _find_named(words: Collection[str]) -> list[int]:
    if len(words) == 0:
        return []
    # Keys have their arguments escaped.
    wanted = {spelling.lower() for word in words for spelling in (word, _as_in_keys(word))}
    records = CacheInvalidation.objects.values_list("pk", "named", "reason")
    return [
        key
        for key, named, reason in records.iterator()
        if any(word in f"{named} {reason}".lower() for word in wanted)
    ]


def _as_in_keys(email: str) -> str:
    local, at, domain = email.rpartition("@")
    return f"{escape(local)}{at}{escape(domain)}"


def validate_and_record(
    host: CacheHost,
    *,
    who: str,
    sample: int | None = DEFAULT_SAMPLE,
    repair: bool = True,
    families: Collection[str] | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ValidationReport:
    """Run a validation, save what it found and return its report; raises BadPattern for a family
    that is none, and BackendUnavailable."""
    run = ValidationRun(at=datetime.now(UTC), who=who, duration_s=0.0)
    started_s = clock()
    try:
        report = Validator(host.cache).run(
            host.load_context(),
            sample=sample,
            repair=repair,
            families=families,
            progress=progress,
        )
    except BackendUnavailable as error:
        run.duration_s, run.error = round(clock() - started_s, 3), str(error)[:500]
        _save(run)
        raise
    run.duration_s = round(clock() - started_s, 3)
    _fill_in(run, report)
    _save(run)
    return report


def _fill_in(run: ValidationRun, report: ValidationReport) -> None:
    run.sampled = sum(report.total(verdict) for verdict in Comparison)
    run.drifted = len(report.drifts)
    run.repaired = sum(drift.repaired for drift in report.drifts)
    run.skipped = report.total(Comparison.SKIPPED)
    run.unknown = report.total(Comparison.UNKNOWN)
    run.by_family = {name: dict(verdicts) for name, verdicts in report.by_family.items()}


def _save(row: models.Model) -> None:
    try:
        # A transaction of its own: a failure must not spoil one that is open around it.
        with transaction.atomic():
            row.save()
    except DatabaseFailure as error:
        if isinstance(error, IntegrityError) and _is_sent_twice(row):
            logger.info("The audit has a record of this %s already", row._meta.verbose_name)
            return
        logger.exception("The audit has no record of this %s", row._meta.verbose_name)


def _is_sent_twice(row: models.Model) -> bool:
    """Say whether a row is one with another by its form, which was sent twice at once."""
    return isinstance(row, CacheInvalidation) and row.token is not None and _is_recorded(row.token)
