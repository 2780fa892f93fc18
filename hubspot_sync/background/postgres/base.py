"""Django's backend of PostgreSQL with the pool of `connections.py`; named in `DATABASES`.

Django makes its pool itself, of psycopg's class, and has no setting for another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from typing_extensions import override

from hubspot_sync.background.postgres.connections import LimitedPool
from hubspot_sync.background.wait_limits import waiting_without_limit

LIFTED = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


class UnlimitedSchemaEditor(DatabaseSchemaEditor):
    """Migrations take as long as they take, whoever set the limits: session or role."""

    @override
    def __enter__(self) -> UnlimitedSchemaEditor:
        with ExitStack() as stack:
            stack.enter_context(waiting_without_limit())
            super().__enter__()
            if not self.collect_sql:
                scope = "LOCAL" if self.atomic_migration else "SESSION"
                self._run(f"SET {scope} {name} = 0" for name in LIFTED)
            self._lifted = stack.pop_all()
        return self

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lifted:
            super().__exit__(kind, error, traceback)
            if not (self.collect_sql or self.atomic_migration):
                self._run(f"RESET {name}" for name in LIFTED)

    def _run(self, statements: Iterable[str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("; ".join(statements))


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = UnlimitedSchemaEditor

    @property
    @override
    def pool(self) -> LimitedPool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, LimitedPool] = self._connection_pools  # type: ignore[attr-defined]  # no stub
        if self.alias not in pools:
            pool = LimitedPool(
                kwargs=self.get_connection_params() | {"autocommit": True},
                open=False,
                configure=self._configure_connection,  # type: ignore[attr-defined]  # no stub
                **options,
            )
            # Several threads may come here at once; none of their pools is open yet.
            pools.setdefault(self.alias, pool)
        return pools[self.alias]
