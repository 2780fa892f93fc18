"""One time for all hosts: the database's, whatever their own clocks say."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import Error as DatabaseFailure
from django.utils import timezone

from hubspot_sync.background.database_clock import ASK_EVERY_S, DatabaseClock
from hubspot_sync.background.postgres.base import DatabaseWrapper
from tests.hubspot_sync.background.lines import URL, open_connection

pytestmark = pytest.mark.django_db  # Django's connections work in no other tests

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)
NEAR = timedelta(seconds=60)


@dataclass(slots=True)
class Seconds:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def asked(connection: DatabaseWrapper, seconds: Seconds) -> DatabaseClock:
    return DatabaseClock(lambda: LONG_AGO, seconds, connection)


@pytest.mark.postgres
def test_a_host_whose_clock_is_wrong_goes_by_the_databases(stack: ExitStack) -> None:
    seconds = Seconds()
    clock = asked(open_connection(URL, stack), seconds)

    first = clock.now()
    seconds.now_s += ASK_EVERY_S - 1

    assert abs(first - timezone.now()) < NEAR
    assert clock.now() - first == timedelta(seconds=ASK_EVERY_S - 1)


@pytest.mark.postgres
def test_a_host_that_counted_no_seconds_learns_it_soon(stack: ExitStack) -> None:
    """It believes that an hour has passed, or none: the next question tells."""
    seconds = Seconds()
    clock = asked(open_connection(URL, stack), seconds)
    clock.now()

    seconds.now_s += 3_600

    assert abs(clock.now() - timezone.now()) < NEAR


@pytest.mark.postgres
def test_nothing_is_asked_within_a_transaction_that_may_have_failed(stack: ExitStack) -> None:
    seconds, connection = Seconds(), open_connection(URL, stack)
    clock = asked(connection, seconds)
    first = clock.now()
    connection.in_atomic_block = True
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        with pytest.raises(DatabaseFailure):
            cursor.execute("SELECT nothing_of_the_kind")

    seconds.now_s += 2 * ASK_EVERY_S

    assert clock.now() - first == timedelta(seconds=2 * ASK_EVERY_S)
    connection.in_atomic_block = False


@pytest.mark.postgres
def test_many_threads_at_once_are_told_the_same_time(stack: ExitStack) -> None:
    seconds, connection = Seconds(), open_connection(URL, stack)
    connection.inc_thread_sharing()
    clock, told = asked(connection, seconds), list[datetime]()
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(10)
        told.append(clock.now())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(told) == 8
    assert max(told) - min(told) < NEAR


class HeldUpOnce:
    """A connection that its first user is held up on, until told to go on."""

    vendor = "postgresql"
    in_atomic_block = False

    def __init__(self, connection: DatabaseWrapper) -> None:
        self._connection = connection
        self._first = threading.Lock()
        self.held_up, self.go_on = threading.Event(), threading.Event()

    def cursor(self) -> object:
        if self._first.acquire(blocking=False):
            self.held_up.set()
            self.go_on.wait(30)
        return self._connection.cursor()


@pytest.mark.postgres
def test_nobody_waits_for_the_answer_to_another_ones_first_question(stack: ExitStack) -> None:
    """Each waits no longer than it may itself."""
    connection = open_connection(URL, stack)
    connection.inc_thread_sharing()
    database = HeldUpOnce(connection)
    clock, told = DatabaseClock(lambda: LONG_AGO, Seconds(), database), list[datetime]()
    threads = [threading.Thread(target=lambda: told.append(clock.now())) for _ in range(2)]

    threads[0].start()
    assert database.held_up.wait(10)
    threads[1].start()
    threads[1].join(5)
    told_meanwhile = len(told)
    database.go_on.set()
    for thread in threads:
        thread.join(10)

    assert told_meanwhile == 1
    assert len(told) == 2


def test_a_database_that_is_a_file_has_its_hosts_time() -> None:
    assert DatabaseClock(lambda: LONG_AGO).now() == LONG_AGO
