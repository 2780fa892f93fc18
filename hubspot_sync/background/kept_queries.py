"""Questions of yes or no to our database, asked with every cold answer.

Django makes a query's SQL anew each time, which takes ten times as long as a small database takes
to answer it. Here it makes it once, of the same queryset that everybody else asks, so that nothing
else knows the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Model, QuerySet

BuildRows = Callable[[str, datetime], QuerySet[Any]]
"""Returns the rows that are meant by a text and an instant."""

TEXT: Final = "the text of a kept query"
INSTANT: Final = datetime(1901, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
"""They stand for what is asked by while the SQL is made, and occur in no condition of ours."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """SQL with its parameters, and which of these are the text and which the instant."""

    sql: str
    parameters: tuple[Any, ...]
    texts: frozenset[int]
    instants: frozenset[int]

    def fill(self, text: str, instant: Any) -> list[Any]:
        return [
            text if index in self.texts else instant if index in self.instants else parameter
            for index, parameter in enumerate(self.parameters)
        ]


@dataclass(slots=True)
class KeptQuery:
    """Whether `build_rows` has any row; its conditions compare texts and instants, and are the same
    whatever they are given."""

    build_rows: BuildRows
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    def has_rows(self, text: str, instant: datetime = INSTANT) -> bool:
        """Raise django.db.Error where the database does not answer."""
        kept = self._compiled.get(connection.vendor)
        if kept is None:
            kept = self._compiled[connection.vendor] = _compile(self.build_rows)
        with connection.cursor() as cursor:
            cursor.execute(kept.sql, kept.fill(text, _as_parameter(instant)))
            return cursor.fetchone() is not None


def _compile(build_rows: BuildRows) -> _Compiled:
    rows: QuerySet[Model, Any] = build_rows(TEXT, INSTANT).order_by().values_list("pk")[:1]
    sql, parameters = rows.query.sql_with_params()
    instant = _as_parameter(INSTANT)
    return _Compiled(
        sql,
        tuple(parameters),
        texts=frozenset(at for at, each in enumerate(parameters) if each == TEXT),
        instants=frozenset(at for at, each in enumerate(parameters) if each == instant),
    )


def _as_parameter(instant: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(instant)
