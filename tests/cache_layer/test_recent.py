"""What came last is held, and never more than the bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cache_layer import Recent

KEYS = st.integers(min_value=0, max_value=30)


def held(recent: Recent[int, int]) -> dict[int, int]:
    return {key: found for key in range(31) if (found := recent.get(key)) is not None}


@given(keys=st.lists(KEYS), bound=st.integers(min_value=2, max_value=20))
def test_the_half_that_came_last_is_held_and_no_more_than_the_bound(
    keys: list[int], bound: int
) -> None:
    recent: Recent[int, int] = Recent(bound)
    for turn, key in enumerate(keys):
        recent.hold(key, turn)

    latest = {key: turn for turn, key in enumerate(keys)}
    newest_first = sorted(latest, key=lambda key: latest[key], reverse=True)
    assert len(held(recent)) <= bound
    assert {*newest_first[: bound // 2]} <= held(recent).keys()
    assert held(recent).items() <= latest.items()


@given(keys=st.lists(KEYS), gone=KEYS)
def test_what_was_dropped_is_not_known(keys: list[int], gone: int) -> None:
    recent: Recent[int, int] = Recent(8)
    for turn, key in enumerate(keys):
        recent.hold(key, turn)
    before = held(recent)

    recent.drop(gone)

    assert held(recent) == {key: turn for key, turn in before.items() if key != gone}


def test_looking_makes_nothing_newer() -> None:
    recent: Recent[int, int] = Recent(4)
    for key in range(4):
        recent.get(0)
        recent.hold(key, key)

    recent.hold(4, 4)

    assert held(recent) == {2: 2, 3: 3, 4: 4}
