"""The database: is it there, is it migrated, and does it keep to the limits we count on?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from booking_api.ops.doctor.clocks import Span, compare_clock, timed
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.preflight import FindingKind

AREA: Final = "database"
ADVICE: Final = "See that it runs, and what DATABASE_URL says."
LIMITS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
MAX_CONNECT_S: Final = 3
NEARLY_ALL: Final = 0.9
MAX_NAMED: Final = 4


def check_database(deployment: Deployment) -> Iterator[Diagnosis]:
    try:
        if connection.vendor == "postgresql":
            _connect_past_the_pool()
        yield from _look(deployment)
    except (DatabaseFailure, psycopg.Error) as error:
        yield _diagnose("", FindingKind.WRONG, f"cannot be used: {describe_failure(error)}", ADVICE)


def _connect_past_the_pool() -> None:
    """Connect once; raise psycopg's error. The pool tries on and on, and says in the end that it
    had none to give, not why: a wrong password, no such database, nobody there."""
    options = connection.get_connection_params() | {"connect_timeout": MAX_CONNECT_S}
    psycopg.connect(**options).close()


def describe_failure(error: Exception) -> str:
    """Return the first line: PostgreSQL quotes rows in those that follow."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _look(deployment: Deployment) -> Iterator[Diagnosis]:
    connection.ensure_connection()
    span = timed(lambda: _ask("SELECT 1"))
    took_ms = (span.answered_at - span.asked_at).total_seconds() * 1000
    name, version = connection.display_name, ".".join(map(str, connection.get_database_version()))
    yield _diagnose("", FindingKind.OK, f"{name} {version} answers in {took_ms:.1f} ms")
    yield from _compare_migrations()
    if connection.vendor == "postgresql":
        yield _compare_clock()
        yield from _look_at_postgres(deployment)
    elif not deployment.debug:
        yield _diagnose(
            "kind",
            FindingKind.WARNING,
            "a file: one machine alone can serve, and one writer at a time",
            "Set DATABASE_URL to a PostgreSQL.",
        )


def _compare_migrations() -> Iterator[Diagnosis]:
    executor = MigrationExecutor(connection)
    loader = executor.loader
    missing = [
        f"{migration.app_label}.{migration.name}"
        for migration, _ in executor.migration_plan(loader.graph.leaf_nodes())
    ]
    ours = {app for app, _ in loader.disk_migrations}
    unknown = [
        f"{app}.{name}"
        for app, name in sorted(set(loader.applied_migrations) - set(loader.disk_migrations))
        # An app that was taken out leaves its rows, and so do those that a squash replaced.
        if app in ours and (app, name) not in loader.replacements
    ]
    if missing:
        named = ", ".join(missing[:MAX_NAMED]) + (" …" if len(missing) > MAX_NAMED else "")
        yield _diagnose(
            "migrations",
            FindingKind.WRONG,
            f"{len(missing)} not applied: {named}",
            "manage.py migrate",
        )
    elif unknown:
        yield _diagnose(
            "migrations",
            FindingKind.WARNING,
            f"newer than this code: {', '.join(unknown[:MAX_NAMED])}",
            "Deploy the code that the database was migrated for.",
        )
    else:
        yield _diagnose("migrations", FindingKind.OK, "all applied")


def _compare_clock() -> Diagnosis:
    told: list[datetime] = []
    span: Span = timed(lambda: told.append(_ask("SELECT clock_timestamp()")))
    return compare_clock("database", told[0], span)


def _look_at_postgres(deployment: Deployment) -> Iterator[Diagnosis]:
    if _ask("SHOW transaction_read_only") == "on":
        yield _diagnose(
            "writes",
            FindingKind.WRONG,
            "read-only: a standby, or a role that may not write",
            "Point DATABASE_URL at the primary.",
        )
    isolation = _ask("SHOW default_transaction_isolation")
    if isolation != "read committed":
        yield _diagnose(
            "isolation",
            FindingKind.WARNING,
            f"{isolation}: transactions may fail that are not repeated",
            "ALTER ROLE … RESET default_transaction_isolation",
        )
    unlimited = [name for name in LIMITS if _ask(f"SHOW {name}") == "0"]
    if unlimited:
        yield _diagnose(
            "limits",
            FindingKind.WARNING,
            f"none for {', '.join(unlimited)}: a frozen client keeps its locks",
            "Give them to the role: docs/how-to/limit-the-database.md.",
        )
    yield _count_connections(deployment)


def _count_connections(deployment: Deployment) -> Diagnosis:
    allowed = int(_ask("SHOW max_connections"))
    used = int(_ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    wanted = deployment.processes * deployment.connections
    found = f"{used} of {allowed} connections in use; ours may be {wanted} on each host"
    if used < NEARLY_ALL * allowed and wanted < allowed:
        return _diagnose("connections", FindingKind.OK, found)
    advice = "Lower DATABASE_POOL_SIZE, raise max_connections, or put PgBouncer between."
    return _diagnose("connections", FindingKind.WARNING, found, advice)


def _ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return None if row is None else row[0]


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
