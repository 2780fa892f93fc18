"""Many done together, and nobody's fault anybody else's.

What is done for many at once is done for all that can bear it: where it fails, it is done for the
halves, down to the ones that fail alone. Whoever uses this makes `do` safe to be repeated, by a
transaction of its own or by looking before it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

from hubspot_sync.background.database_errors import is_database_away

T = TypeVar("T")
M = TypeVar("M", bound=Model)


def do_apart(
    items: Sequence[T],
    do: Callable[[Sequence[T]], object],
    set_aside: Callable[[T, Exception], object],
    is_nobodys_fault: Callable[[Exception], bool] = is_database_away,
) -> None:
    """Do something for all items, together where possible; `set_aside` gets each that fails alone,
    inside the `except` block of its error. Errors that are no item's fault are raised."""
    if len(items) == 0:
        return
    try:
        do(items)
    except Exception as error:
        if is_nobodys_fault(error):
            raise
        if len(items) == 1:
            set_aside(items[0], error)
            return
    else:
        return
    half = len(items) // 2
    for part in (items[:half], items[half:]):
        do_apart(part, do, set_aside, is_nobodys_fault)


def write_apart(
    items: Sequence[T],
    write: Callable[[Sequence[T]], object],
    set_aside: Callable[[T, Exception], object],
) -> None:
    """Write all items to our database, each part in a transaction or savepoint of its own;
    `set_aside` gets each that the database or its driver refuses."""

    def write_together(part: Sequence[T]) -> None:
        with transaction.atomic():
            write(part)

    do_apart(items, write_together, set_aside)


def update_apart(
    rows: QuerySet[M], set_aside: Callable[[int, Exception], object], **values: object
) -> int:
    """Update all rows of a query; where our database refuses, all that it does not refuse.
    `set_aside` gets the key of each that it does. Return how many were updated."""
    try:
        with transaction.atomic():
            return rows.update(**values)
    except Exception as error:
        if is_database_away(error):
            raise
    updated: list[int] = []
    manager = rows.model._default_manager
    write_apart(
        list(rows.values_list("pk", flat=True)),
        lambda keys: updated.append(manager.filter(pk__in=keys).update(**values)),
        set_aside,
    )
    return sum(updated)
