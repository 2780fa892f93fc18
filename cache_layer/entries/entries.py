"""What is stored and how: values into bytes and back, and the shape of an entry.

A value that is already bytes, a rendered page, is kept as it is; everything else is pickled. An
entry written by another format version is a miss.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from cache_layer.errors import UnreadableEntry

FORMAT_VERSION = 1

V = TypeVar("V")


class Miss(Enum):
    """Nothing is there; never to be taken for a value that is None."""

    MISS = "miss"


MISS = Miss.MISS


# Generic classes have no slots: Python 3.11 cannot make a slotted one from `LoadedValue[int](…)`.
@dataclass(frozen=True)
class LoadedValue(Generic[V]):
    """A value as its loader made it, and the tags of everything it was built from.

    `keep_s` is the most seconds it may be kept, where what it was built from was not fresh, or will
    not stay true, for as long as its family's entries live.
    """

    value: V
    tags: frozenset[str]
    keep_s: float | None = None

    @classmethod
    def built_from(cls, value: V, tags: Collection[str]) -> LoadedValue[V]:
        return cls(value, frozenset(tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a backend keeps under a key.

    `rendered` says that `payload` is the value itself and not its pickle.
    """

    family: str
    payload: bytes
    rendered: bool
    tags: frozenset[str]
    ttl_s: float
    version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEntry:
    """An entry as it was found. `stamp` differs for every store, so that two looks at one key can
    tell whether it is still the same entry."""

    entry: Entry
    stamp: int
    age_s: float
    ttl_left_s: float

    def value(self) -> Any:
        """Return the stored value; raises UnreadableEntry."""
        if self.entry.rendered:
            return self.entry.payload
        try:
            return pickle.loads(self.entry.payload)  # noqa: S301 - only this cache writes there
        except Exception as error:  # unpickling runs any class's code and may raise anything
            raise UnreadableEntry(f"An entry of {self.entry.family} cannot be read.") from error


def pack(family: str, loaded: LoadedValue[Any], ttl_s: float) -> Entry:
    """Return the entry of a loaded value; raises whatever pickling it raises."""
    rendered = type(loaded.value) is bytes
    payload = loaded.value if rendered else pickle.dumps(loaded.value, pickle.HIGHEST_PROTOCOL)
    kept_s = ttl_s if loaded.keep_s is None else min(ttl_s, loaded.keep_s)
    return Entry(family=family, payload=payload, rendered=rendered, tags=loaded.tags, ttl_s=kept_s)
