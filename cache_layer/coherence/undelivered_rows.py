"""The table of undelivered invalidations, in Django's database.

Called by the workers' threads alone: a row that a caller's transaction held back would be seen by
nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.utils import timezone

from cache_layer.coherence.pending import InvalidationBatch
from cache_layer.coherence.undelivered import UndeliveredRow
from cache_layer.errors import TableUnavailable
from cache_layer.models import UndeliveredInvalidation


class UndeliveredRows:
    """The rows of the caches with one prefix. What has not been delivered for as long as `keep`,
    which is longer than an entry may live, names nothing any more and goes."""

    def __init__(
        self, prefix: str, *, keep: timedelta, now: Callable[[], datetime] = timezone.now
    ) -> None:
        self._prefix = prefix
        self._keep = keep
        self._now = now
        self._rows = UndeliveredInvalidation.objects.filter(prefix=prefix)

    def insert(self, batch: InvalidationBatch) -> int:
        with _translate_errors():
            row = UndeliveredInvalidation.objects.create(
                prefix=self._prefix,
                tags=sorted(batch.tags),
                keys=sorted(batch.keys),
                flush=batch.flush,
                at=self._now(),
            )
        return row.pk

    def read_oldest(self, limit: int) -> Sequence[UndeliveredRow]:
        with _translate_errors():
            return [_parse_row(row) for row in self._rows.order_by("pk")[:limit]]

    def contains(self, row_id: int) -> bool:
        with _translate_errors():
            return self._rows.filter(pk=row_id).exists()

    def delete(self, row_ids: Collection[int]) -> None:
        with _translate_errors():
            self._rows.filter(pk__in=list(row_ids)).delete()
            # Of any prefix: the processes of one that is no longer used delete nothing.
            UndeliveredInvalidation.objects.filter(at__lt=self._now() - self._keep).delete()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except DatabaseFailure as error:
        raise TableUnavailable(f"The database did not answer: {type(error).__name__}.") from error


def _parse_row(row: UndeliveredInvalidation) -> UndeliveredRow:
    batch = InvalidationBatch(
        tags=frozenset(row.tags), keys=frozenset(row.keys), flush=row.flush, until=0
    )
    return UndeliveredRow(row.pk, batch)
