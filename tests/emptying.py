"""The tests' database, emptied after each test without being furnished anew.

Django's flush empties also what every migrated database begins with, the kinds of rows and the
permissions to them, and makes them again: for each test that took more time than most tests do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

KEPT = ("django_migrations", "django_content_type", "auth_permission")


@contextmanager
def emptying_quickly(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Within, what tests leave in the database goes, and what migrations left in it stays."""
    with blocker.unblock():
        furniture = count_furniture()
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = [name for name in names if name not in KEPT]

    def empty(_: Any) -> None:
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), emptied))
        assert count_furniture() == furniture, "A test changed what every database begins with."

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


def count_furniture() -> tuple[int, int]:
    """Return how many kinds of rows and how many permissions there are."""
    return ContentType.objects.count(), Permission.objects.count()
