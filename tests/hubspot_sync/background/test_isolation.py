"""Many done together: whoever fails alone is set aside, all others are done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.background.isolation import do_apart


@given(st.lists(st.booleans(), max_size=130))
def test_each_that_fails_alone_is_set_aside_and_every_other_is_done(well: list[bool]) -> None:
    done: list[int] = []
    set_aside: list[int] = []

    def do(places: Sequence[int]) -> None:
        if not all(well[place] for place in places):
            raise ValueError
        done.extend(places)

    do_apart(range(len(well)), do, lambda place, _: set_aside.append(place))

    assert done == [place for place, is_well in enumerate(well) if is_well]
    assert set_aside == [place for place, is_well in enumerate(well) if not is_well]


def test_one_bad_among_a_hundred_costs_few_attempts() -> None:
    attempts: list[int] = []

    def do(places: Sequence[int]) -> None:
        attempts.append(len(places))
        if 37 in places:
            raise ValueError

    do_apart(range(100), do, lambda *_: None)

    assert len(attempts) <= 15


def test_what_is_nobodys_fault_is_raised_at_once() -> None:
    attempts: list[int] = []

    def do(places: Sequence[int]) -> None:
        attempts.append(len(places))
        raise OperationalError("the connection is lost")

    with pytest.raises(OperationalError):
        do_apart(range(100), do, lambda *_: None)
    assert attempts == [100]
