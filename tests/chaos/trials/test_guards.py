"""Each guard that a chaos run can take out is there to be taken out, by a fault that misses it."""

from __future__ import annotations

import importlib

import pytest

from tests.chaos.children.taken_out import GUARDS, Strict
from tests.chaos.trials.directed import TRIALS


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_taken_out_is_there(guard: str) -> None:
    for name, change in GUARDS[guard]:
        change(Strict(importlib.import_module(name), only_looks=True))


def test_what_is_not_there_is_not_taken_out() -> None:
    with pytest.raises(AttributeError):
        Strict(pytest).no_such_guard = None


def test_each_guard_has_a_fault_that_misses_it() -> None:
    assert {guard for trial in TRIALS for guard in trial.guards} == set(GUARDS)
