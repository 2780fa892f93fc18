"""What came last, by key, in two halves: a bound that costs two dictionaries and nothing more.

A dictionary that knows the order of use takes twice the memory, and as much again once what comes
pushes out what was there. Here the newer half is filled; when it is full it becomes the older one,
and what was the older one is forgotten at once.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Never more than `max_held` keys, of which the half that was held last is sure to be here.

    Not for two threads at once.
    """

    def __init__(self, max_held: int) -> None:
        self._half = max(1, max_held // 2)
        self._newer: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return what is held, which makes it no newer."""
        found = self._newer.get(key)
        return self._older.get(key) if found is None else found

    def hold(self, key: K, value: V) -> None:
        """Hold a value as the newest, in place of what the key had."""
        if len(self._newer) >= self._half and key not in self._newer:
            self._older, self._newer = self._newer, {}
        self._newer[key] = value

    def drop(self, key: K) -> None:
        """Forget a key, if it is known."""
        self._newer.pop(key, None)
        self._older.pop(key, None)
