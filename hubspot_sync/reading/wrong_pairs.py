"""Pairs of a student id and an e-mail that were found to be no one student's: the one absence that
is kept, for a short while, as a digest that does not say whose pair it was.

An entry holds a note of whoever checked the pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cache_layer import Family, Key, KeyPattern, LoadResult, ValueCodec, collection_tag

WRONG_PAIR_TTL_S: Final = 15.0


def student_pairs_tag() -> str:
    """Return the tag of all of them: any contact that comes into being, or is called otherwise, may
    be the one that a pair names."""
    return collection_tag("contacts", "pairs")


def build_wrong_pairs_family() -> Family[str, Any]:
    return Family(
        name="wrong-pairs",
        patterns=(KeyPattern("pair:{digest}:wrong"),),
        values=ValueCodec(str),
        ttl_s=WRONG_PAIR_TTL_S,
        load_many=_load_none,
        reloadable=False,
    )


def _load_none(keys: Sequence[Key], _: Any) -> LoadResult[str]:
    """A digest cannot be asked about: whoever checked a pair stores what came of it."""
    return LoadResult(loaded={}, absent=frozenset(keys))
