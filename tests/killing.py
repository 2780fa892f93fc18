"""Work in a process of its own, killed as by `kill -9` after its nth database statement."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from django.db import connection

SHARES = pytest.mark.parametrize(
    "every",
    [
        pytest.param(3, id="some statements"),
        pytest.param(1, id="all statements", marks=pytest.mark.chaos),
    ],
)
"""`make test` kills after each third statement, `make slow-tests` after all."""


def count_statements(every: int) -> Iterator[int]:
    """Yield each `every`th number without end, from one of the first that the run's seed draws."""
    return count(random.randint(1, every), every)


def kill_after(statement: int, work: Callable[[], Any]) -> bool:
    """Fork, do the work there, and return whether it got as far as that statement and died."""
    connection.close()
    pid = os.fork()
    if pid == 0:
        _work_and_die(statement, work)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return os.WIFSIGNALED(status)


def _work_and_die(statement: int, work: Callable[[], Any]) -> None:
    done = 0

    def count_one(execute: Any, *arguments: Any) -> Any:
        nonlocal done
        result = execute(*arguments)
        done += 1
        if done == statement:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    code = 1
    try:
        with connection.execute_wrapper(count_one):
            work()
        code = 0
    finally:
        os._exit(code)  # not through the tests' own ending
