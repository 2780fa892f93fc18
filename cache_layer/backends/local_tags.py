"""Which entries have a tag, for the cache in this process's memory.

Most tags are one student's and stand on an entry or two: for so few keys a tuple takes a third of
what a set takes, and there are about as many tags as entries.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MAX_IN_TUPLE: Final = 8
"""Looking through so few costs no more than hashing."""


class LocalTags:
    """The index of tags; not for two threads at once."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, ...] | set[str]] = {}

    def __len__(self) -> int:
        """Return how many tags some entry has."""
        return len(self._keys)

    def add(self, key: str, tags: Collection[str]) -> None:
        """Note a key that has no tags here yet."""
        known = self._keys
        for tag in tags:
            keys = known.get(tag)
            if keys is None:
                known[tag] = (key,)
            elif isinstance(keys, set):
                keys.add(key)
            elif len(keys) < MAX_IN_TUPLE:
                known[tag] = (*keys, key)
            else:
                known[tag] = {*keys, key}

    def discard(self, key: str, tags: Collection[str]) -> None:
        """Forget a key, and each of its tags that no other key has."""
        for tag in tags:
            keys = self._keys[tag]
            if isinstance(keys, set):
                keys.discard(key)
            else:
                keys = self._keys[tag] = tuple(each for each in keys if each != key)
            if not keys:
                del self._keys[tag]

    def find_keys(self, tags: Collection[str]) -> frozenset[str]:
        """Return the keys that have one of these tags."""
        return frozenset().union(*(self._keys.get(tag, ()) for tag in tags))
