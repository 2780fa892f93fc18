"""The tests' own database between two tests."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import TransactionTestCase


@pytest.mark.django_db(transaction=True)
def test_what_a_thread_that_was_left_is_writing_goes_too() -> None:
    at_work, empty = threading.Event(), vars(TransactionTestCase)["_fixture_teardown"]

    def say_so(execute: Callable[..., Any], statement: str, *arguments: Any) -> Any:
        if statement.startswith("BEGIN"):  # which waits for whoever writes
            at_work.set()
        result = execute(statement, *arguments)
        at_work.set()
        return result

    def empty_it() -> None:
        with connection.execute_wrapper(say_so):
            empty(None)
        connection.close()

    emptying = threading.Thread(target=empty_it)
    file = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO auth_group (name) VALUES ('late')")
        emptying.start()
        assert at_work.wait(60)
        writer.execute("COMMIT")
    emptying.join(60)

    assert not Group.objects.exists()
