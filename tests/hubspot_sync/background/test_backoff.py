"""Waits double from the first to the longest."""

from __future__ import annotations

import pytest

from hubspot_sync.background.backoff import backoff


@pytest.mark.parametrize(
    ("attempts", "wait_s"),
    [(0, 2.0), (1, 2.0), (2, 4.0), (3, 8.0), (8, 256.0), (9, 300.0), (10_000, 300.0)],
)
def test_each_wait_is_twice_the_last_up_to_a_longest(attempts: int, wait_s: float) -> None:
    assert backoff(attempts, first_s=2.0, max_s=300.0).total_seconds() == wait_s


def test_what_need_not_wait_never_does() -> None:
    assert backoff(5, first_s=0.0, max_s=300.0).total_seconds() == 0.0
