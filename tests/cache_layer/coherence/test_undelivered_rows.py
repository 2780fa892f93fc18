"""The table in the database: each prefix its own, in order; what is named goes, and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from cache_layer.coherence.pending import InvalidationBatch
from cache_layer.coherence.undelivered_rows import UndeliveredRows
from cache_layer.errors import TableUnavailable
from cache_layer.models import UndeliveredInvalidation
from tests.cache_layer.support import no_table

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)
BATCH = InvalidationBatch(
    tags=frozenset({"exam:1", "exam:2"}), keys=frozenset({"contact:a@b:details"}), flush=False
)
FLUSH = replace(BATCH, tags=frozenset(), keys=frozenset(), flush=True)


def test_rows_come_back_as_they_were_and_go_one_by_one() -> None:
    rows, others = UndeliveredRows("ours", keep=WEEK), UndeliveredRows("theirs", keep=WEEK)
    first, second = rows.insert(BATCH), rows.insert(FLUSH)
    theirs = others.insert(BATCH)

    found = rows.read_oldest(10)
    assert [(row.row_id, row.batch) for row in found] == [(first, BATCH), (second, FLUSH)]
    assert [row.row_id for row in rows.read_oldest(1)] == [first]
    rows.delete([first, theirs])

    assert (rows.contains(first), rows.contains(second)) == (False, True)
    assert others.contains(theirs)


def test_the_upgrade_leaves_no_email_and_forgets_no_invalidation() -> None:
    rows = UndeliveredRows("ours", keep=WEEK)
    named = rows.insert(replace(BATCH, keys=frozenset({"contact:a@b:details", "exam:1"})))
    other = rows.insert(replace(BATCH, keys=frozenset({"exam:1"})))
    upgrade = import_module("cache_layer.migrations.0004_no_emails_in_undelivered_invalidations")

    upgrade.flush_instead(apps, None)

    kept = frozenset({"exam:1"})
    assert [(row.row_id, row.batch) for row in rows.read_oldest(10)] == [
        (named, replace(BATCH, keys=kept, flush=True)),
        (other, replace(BATCH, keys=kept)),
    ]


def test_what_outlived_every_entry_goes_whosever_it_was() -> None:
    abandoned = UndeliveredRows("abandoned", keep=WEEK).insert(BATCH)
    kept = UndeliveredRows("abandoned", keep=WEEK).insert(BATCH)
    UndeliveredInvalidation.objects.filter(pk=abandoned).update(at=timezone.now() - 2 * WEEK)
    rows = UndeliveredRows("ours", keep=WEEK)

    rows.delete([rows.insert(BATCH)])

    assert list(UndeliveredInvalidation.objects.values_list("pk", flat=True)) == [kept]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_said_in_one_way() -> None:
    rows = UndeliveredRows("ours", keep=WEEK)

    with no_table():
        for ask in (
            lambda: rows.insert(BATCH),
            lambda: rows.read_oldest(1),
            lambda: rows.contains(1),
            lambda: rows.delete([1]),
        ):
            with pytest.raises(TableUnavailable):
                ask()
