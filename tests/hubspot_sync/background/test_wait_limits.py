"""A database that is silent holds nobody up, and what timed out is used by nobody again."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from django.db import Error as DatabaseFailure
from django.db import OperationalError

from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.database_questions import MAX_ASK_S, DatabaseQuestions
from hubspot_sync.background.postgres.base import DatabaseWrapper
from hubspot_sync.background.postgres.connections import POOL_OPTIONS
from hubspot_sync.background.wait_limits import (
    MAX_WAIT_S,
    WaitingUntil,
    longest_wait_s,
    waiting_at_most,
    waiting_without_limit,
)
from tests.hubspot_sync.background.lines import URL, open_connection
from tests.swallowing_proxy import SwallowingProxy, proxy_before

SHORT_S = 0.3
PATIENCE_S = 30.0

pytestmark = pytest.mark.django_db  # Django's connections work in no other tests


@dataclass(frozen=True, slots=True)
class Line:
    """A connection of Django's through a proxy."""

    connection: DatabaseWrapper
    proxy: SwallowingProxy

    def ask(self, sql: str = "SELECT 1") -> object:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def backend(self) -> object:
        return self.ask("SELECT pg_backend_pid()")

    def fill_pool(self, number: int) -> None:
        """Have so many connections lie in the pool."""
        pool = self.connection.pool
        assert pool is not None
        pool.open()
        for held in [pool.getconn() for _ in range(number)]:
            pool.putconn(held)


def in_seconds(seconds: float) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def line(stack: ExitStack) -> Line:
    proxy, url = stack.enter_context(proxy_before(URL))
    return Line(open_connection(url, stack), proxy)


@pytest.mark.postgres
def test_who_waits_for_a_silent_database_is_told_that_it_is_away(line: Line) -> None:
    before = line.backend()
    line.proxy.swallow()

    with pytest.raises(OperationalError) as raised, waiting_at_most(SHORT_S):
        line.ask()

    assert is_database_away(raised.value)
    line.proxy.pass_on()
    line.connection.close()
    assert line.backend() != before


@pytest.mark.postgres
def test_a_late_answer_is_no_answer_to_the_next_question(line: Line) -> None:
    line.ask()
    line.connection.set_autocommit(False)
    with pytest.raises(OperationalError), waiting_at_most(SHORT_S):
        line.ask("SELECT 'late', pg_sleep(1)")

    with pytest.raises(OperationalError):
        line.ask("SELECT 'next'")

    line.connection.close()
    assert line.ask("SELECT 'mine'") == "mine"


@pytest.mark.postgres
def test_silent_connections_are_replaced_at_once(line: Line) -> None:
    """The first that is found silent has all thrown away that lie in the pool."""
    line.fill_pool(4)
    line.proxy.swallow_what_is_open()

    with WaitingUntil(in_seconds(4.0)):
        assert line.ask() == 1
    line.connection.close()
    for _ in range(4):
        with waiting_at_most(SHORT_S):
            assert line.ask() == 1
        line.connection.close()


@pytest.mark.postgres
def test_nobody_waits_for_a_place_in_the_pool_after_their_time(line: Line) -> None:
    pool = line.connection.pool
    assert pool is not None
    pool.open()
    held = [pool.getconn() for _ in range(10)]

    with pytest.raises(OperationalError) as raised, WaitingUntil(in_seconds(SHORT_S)):
        line.ask()

    assert is_database_away(raised.value)
    for each in held:
        pool.putconn(each)


@pytest.mark.postgres
def test_the_server_ends_what_its_client_has_left_standing(stack: ExitStack) -> None:
    """A client that is frozen inside a transaction keeps its locks for less than a lease."""
    url = f"{URL}?options=-c%20idle_in_transaction_session_timeout%3D100"
    frozen, other = open_connection(url, stack), open_connection(URL, stack)
    with other.schema_editor() as editor:
        editor.execute("CREATE TABLE held_rows AS SELECT 1 AS id")
    frozen.set_autocommit(False)
    with frozen.cursor() as cursor:
        cursor.execute("UPDATE held_rows SET id = 2")

    with other.cursor() as cursor:
        cursor.execute("UPDATE held_rows SET id = 3 RETURNING id")
        assert cursor.fetchone() == (3,)
        cursor.execute("DROP TABLE held_rows")
    with pytest.raises(DatabaseFailure) as raised, frozen.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert is_database_away(raised.value)


SHOWN = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def limits_of(connection: DatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in SHOWN)}")
        return list(cursor.fetchone())


@pytest.mark.postgres
def test_what_the_address_says_of_limits_stands(stack: ExitStack) -> None:
    given = f"{URL}?options=-c%20lock_timeout%3D7s%20-c%20work_mem%3D5MB"

    assert limits_of(open_connection(URL, stack)) == ["10s", "5s", "4s"]
    mixed = open_connection(given, stack)
    assert limits_of(mixed) == ["10s", "7s", "4s"]
    with mixed.cursor() as cursor:
        cursor.execute("SHOW work_mem")
        assert cursor.fetchone() == ("5MB",)
    alone = open_connection(given, stack, limits_session=False)
    assert limits_of(alone) == ["0", "7s", "0"]


@pytest.mark.postgres
@pytest.mark.parametrize("atomic", [True, False])
def test_migrations_have_no_limits(stack: ExitStack, atomic: bool) -> None:
    connection = open_connection(URL, stack)
    connection.set_autocommit(not atomic)  # Django's own begins one of the tests' database

    with waiting_at_most(SHORT_S), connection.schema_editor(atomic=atomic) as editor:
        assert limits_of(connection) == ["0", "0", "0"]
        editor.execute("SELECT pg_sleep(0.5)")

    if atomic:
        connection.commit()
    assert limits_of(connection) == ["10s", "5s", "4s"]


@pytest.mark.postgres
def test_an_open_end_of_a_migration_that_fails_leaves_the_limits(stack: ExitStack) -> None:
    connection = open_connection(URL, stack)

    with pytest.raises(ZeroDivisionError), connection.schema_editor():
        raise ZeroDivisionError

    assert limits_of(connection) == ["10s", "5s", "4s"]
    assert longest_wait_s() == MAX_WAIT_S


def test_the_shortest_limit_holds_and_each_thread_has_its_own() -> None:
    others: list[float | None] = []

    with WaitingUntil(in_seconds(PATIENCE_S)), waiting_at_most(5.0):
        with waiting_at_most(8.0), WaitingUntil(in_seconds(2 * PATIENCE_S)):
            assert longest_wait_s() == 5.0
        with WaitingUntil(in_seconds(-1)):
            assert longest_wait_s() == 0.0
        with waiting_without_limit():
            assert longest_wait_s() is None
        thread = threading.Thread(target=lambda: others.append(longest_wait_s()))
        thread.start()
        thread.join(PATIENCE_S)

    assert others == [MAX_WAIT_S]
    assert longest_wait_s() == MAX_WAIT_S


def test_a_reader_waits_only_a_little_for_what_it_can_do_without() -> None:
    """A database that is away would cost each of its first readers the pool's whole patience."""
    waits_s = DatabaseQuestions().ask(longest_wait_s)

    assert waits_s == MAX_ASK_S
    assert POOL_OPTIONS["timeout"] > MAX_ASK_S
    assert longest_wait_s() == MAX_WAIT_S
