"""The rollout: stable, growing, and about as large as it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cache_layer.entries.rollout import reads_through_cache


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_who_is_in_stays_in_when_the_share_grows(subject: str, share: int, other: int) -> None:
    low, high = sorted((share, other))

    assert reads_through_cache(subject, low) <= reads_through_cache(subject, high)


@given(st.text())
def test_all_or_nobody_means_just_that(subject: str) -> None:
    assert reads_through_cache(subject, 100)
    assert not reads_through_cache(subject, 0)


def test_a_quarter_is_about_a_quarter() -> None:
    inside = sum(reads_through_cache(str(number), 25) for number in range(10_000))

    assert 2300 < inside < 2700
