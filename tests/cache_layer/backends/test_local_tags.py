"""The index of tags in memory: which keys have a tag, whether few or many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_layer.backends.local_tags import MAX_IN_TUPLE, LocalTags

KEYS = [f"key:{number}" for number in range(2 * MAX_IN_TUPLE)]
TAGS = ["contact:1", "exam:1", "exam:2"]
Entries = dict[str, frozenset[str]]
some_entries = st.dictionaries(st.sampled_from(KEYS), st.frozensets(st.sampled_from(TAGS)))


@given(
    entries=some_entries, gone=st.sets(st.sampled_from(KEYS)), asked=st.sets(st.sampled_from(TAGS))
)
def test_it_finds_the_keys_that_have_a_tag_and_no_others(
    entries: Entries, gone: set[str], asked: set[str]
) -> None:
    index = LocalTags()
    for key, tags in entries.items():
        index.add(key, tags)
    for key in gone & entries.keys():
        index.discard(key, entries[key])

    left = {key: tags for key, tags in entries.items() if key not in gone}
    assert index.find_keys(asked) == {key for key, tags in left.items() if tags & asked}
    assert len(index) == len(frozenset().union(*left.values()))


@pytest.mark.parametrize("number", [1, MAX_IN_TUPLE, MAX_IN_TUPLE + 1, 100])
def test_a_tag_that_nobody_has_any_more_leaves_nothing(number: int) -> None:
    index = LocalTags()
    for each in range(number):
        index.add(f"key:{each}", ["exam:1"])
    assert len(index.find_keys(["exam:1"])) == number

    for each in range(number):
        index.discard(f"key:{each}", ["exam:1"])

    assert (len(index), index.find_keys(["exam:1"])) == (0, frozenset())
