"""Readers' questions to the database, asked on threads that no request ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from hubspot_sync.background.database_questions import (
    KEEP_S,
    DatabaseQuestions,
    DatabaseSilent,
)

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)


class Thread:
    """A thread of a pool, that counts the connections opened on it."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.opened = 0

    def run(self, work: Callable[[], T]) -> T:
        return self._pool.submit(work).result()

    def count(self, **_: object) -> None:
        self.opened += 1


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def thread() -> Iterator[Thread]:
    with ThreadPoolExecutor(1) as pool:
        asker = Thread(pool)
        connection_created.connect(asker.count)
        yield asker
        connection_created.disconnect(asker.count)
        asker.run(disconnect)


def count_users() -> int:
    return User.objects.count()


def fail() -> None:
    count_users()
    raise OperationalError


def connect() -> None:
    connection.ensure_connection()


def disconnect() -> None:
    connection.close()


def is_connected() -> bool:
    return connection.connection is not None


def test_a_thread_that_asks_again_opens_no_other_connection(thread: Thread) -> None:
    questions = DatabaseQuestions(Clock())

    for _ in range(3):
        thread.run(lambda: questions.ask(count_users))

    assert thread.opened == (1 if connection.vendor == "sqlite" else 3)


def test_a_connection_that_lay_idle_for_long_answers_nothing(thread: Thread) -> None:
    """The database's file may have been replaced since: it would tell of what was."""
    clock = Clock()
    questions = DatabaseQuestions(clock)
    thread.run(lambda: questions.ask(count_users))
    clock.now_s += KEEP_S

    thread.run(lambda: questions.ask(count_users))

    assert thread.opened == 2


def test_a_connection_that_failed_is_not_kept(thread: Thread) -> None:
    questions = DatabaseQuestions(Clock())
    thread.run(lambda: questions.ask(count_users))

    with pytest.raises(DatabaseSilent):
        thread.run(lambda: questions.ask(fail))

    assert not thread.run(is_connected)


def test_a_connection_that_was_open_before_stays_open(thread: Thread) -> None:
    clock = Clock()
    questions = DatabaseQuestions(clock)
    thread.run(connect)
    clock.now_s += KEEP_S

    thread.run(lambda: questions.ask(count_users))

    assert thread.run(is_connected)
