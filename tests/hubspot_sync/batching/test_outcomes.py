"""Found, missing, unknown, and never asked for: four things, of which none passes for another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.batching.outcomes import Found, FoundByKey, Many, Missing, Unknown, merge
from hubspot_sync.errors import HubSpotError, Unavailable

ERROR = Unavailable("HubSpot does not answer.")
FATES = {
    "found": lambda key: Many(found={key: f"record {key}"}),
    "missing": lambda key: Many(found={}, missing=frozenset({key})),
    "unknown": lambda key: Many(found={}, unknown={key: ERROR}),
}
fates = st.dictionaries(st.text(max_size=3), st.sampled_from(sorted(FATES)))


def made_of(by_key: dict[str, str]) -> Many[str]:
    return merge(FATES[fate](key) for key, fate in by_key.items())


def what_comes_of(ask: Callable[[], object]) -> object:
    """What is returned, or the error raised."""
    try:
        return ask()
    except (HubSpotError, KeyError) as error:
        return error


@given(fates, st.text(max_size=3))
def test_each_key_has_one_fate_and_a_stranger_none(by_key: dict[str, str], key: str) -> None:
    many = made_of(by_key)
    fate = by_key.get(key, "never asked")

    answered = what_comes_of(lambda: many.answered(key))
    outcome = what_comes_of(lambda: many.outcome(key))

    assert many.covers(key) == (fate != "never asked")
    if fate == "found":
        assert (answered, outcome) == (f"record {key}", Found(f"record {key}"))
    elif fate == "missing":
        assert (answered, outcome) == (None, Missing())
    elif fate == "unknown":
        assert (answered, outcome) == (ERROR, Unknown(ERROR))
    else:
        assert isinstance(answered, KeyError)
        assert isinstance(outcome, KeyError)
    assert many.if_found(key) == (f"record {key}" if fate == "found" else None)


@given(fates, st.sets(st.text(max_size=3), max_size=3))
def test_what_decides_gets_all_it_asks_for_or_the_reason(
    by_key: dict[str, str], others: set[str]
) -> None:
    many = made_of(by_key)
    for keys in (list(by_key), sorted(others), [*by_key, *sorted(others)]):
        fates_of = [by_key.get(key, "never asked") for key in keys]

        whole: Any = what_comes_of(partial(many.require, keys))

        if "never asked" in fates_of:
            assert isinstance(whole, KeyError)
        elif "unknown" in fates_of:
            assert whole is ERROR
        else:
            assert not isinstance(whole, Exception)
            assert {key: whole.answered(key) for key in keys} == {
                key: many.answered(key) for key in keys
            }
            with pytest.raises(KeyError):
                whole.answered("nobody asked for this")


def test_what_was_found_of_many_is_no_mapping_to_the_type_checker() -> None:
    """`get`, and passing it on as a mapping, would take unknown for missing."""
    assert Many.__annotations__["found"] == "FoundByKey[V]"
    assert not hasattr(FoundByKey, "get")
