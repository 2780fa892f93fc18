"""The tests' database, emptied after each test without being furnished anew.

Django's flush empties also what every migrated database begins with, the kinds of rows and the
permissions to them, and makes them again: for each test that took more time than most tests do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import connection, transaction
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

KEPT = ("django_migrations", "django_content_type", "auth_permission")
COUNT_FURNITURE = (
    "SELECT (SELECT COUNT(*) FROM django_content_type), (SELECT COUNT(*) FROM auth_permission)"
)


@contextmanager
def emptying_quickly(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Within, what tests leave in the database goes, and what migrations left in it stays."""
    with blocker.unblock():
        furniture = count_furniture()
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = [name for name in names if name not in KEPT]

    def empty(_: Any) -> None:
        with transaction.atomic():  # after whoever still writes, that no row comes unseen
            filled = find_filled(emptied)
            connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), filled))
        assert count_furniture() == furniture, "A test changed what every database begins with."

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        # Whoever is the only one connected to a file makes its log anew.
        patch.setattr(TransactionTestCase, "_should_reload_connections", lambda _: False)
        yield


def find_filled(tables: Sequence[str]) -> list[str]:
    """Return which of the tables have rows: a test fills few of them, and it takes one question."""
    looks = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in tables)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return [name for (name,) in cursor.fetchall()]


def count_furniture() -> tuple[int, ...]:
    """Return how many kinds of rows and how many permissions there are."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_FURNITURE)
        (counts,) = cursor.fetchall()
    return tuple(counts)
