"""Which of a test's cases `make test` tries, where each is long and seldom finds more than another.

A test marked `sampled` is tried with one of its cases, one marked `sampled(3)` with three, drawn
anew by each run's seed: over the runs all are tried. `make slow-tests` tries them all: those that
are not drawn are marked `chaos`, the others `drawn`. A run that is told a seed
(`--randomly-seed=1`) draws the same again.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

import pytest


def leave_to_slow_tests(items: Iterable[pytest.Item], seed: int) -> None:
    """Mark the cases that are not drawn; all workers of a run, told its seed, draw alike."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            cases[item.nodeid.partition("[")[0]].append(item)
    for name, of_test in cases.items():
        mark = of_test[0].get_closest_marker("sampled")
        wanted = mark.args[0] if mark is not None and mark.args else 1
        _draw(of_test, wanted, f"{seed} {name}")


def leave_one_portal(items: Iterable[pytest.Item], seed: int) -> None:
    """Draw one of the portals for each test that the fixture `school` would try with both."""
    cases: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "school" in callspec.params:
            others = {name: at for name, at in callspec.indices.items() if name != "school"}
            cases[item.nodeid.partition("[")[0], repr(others)].append(item)
    for name, of_test in cases.items():
        _draw(of_test, 1, f"{seed} {name}")


def _draw(cases: Iterable[pytest.Item], wanted: int, seed: str) -> None:
    left = [item for item in cases if item.get_closest_marker("chaos") is None]
    drawn = set(random.Random(seed).sample(left, min(wanted, len(left))))
    for item in left:
        item.add_marker(pytest.mark.drawn if item in drawn else pytest.mark.chaos)
