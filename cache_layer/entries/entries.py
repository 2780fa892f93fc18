"""What is stored: the shape of an entry, and of a value with what it was built from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from cache_layer.entries.values import ValueCodec

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
    """What a backend keeps under a key. `version` is that of the value's types and of where it
    came from: an entry of another is none to whoever reads it, and `payload` means nothing to
    them."""

    family: str
    payload: bytes
    tags: frozenset[str]
    ttl_s: float
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEntry:
    """An entry as it was found. `stamp` differs for every store, so that two looks at one key can
    tell whether it is still the same entry."""

    entry: Entry
    stamp: int
    age_s: float
    ttl_left_s: float


def pack(
    family: str,
    codec: ValueCodec[V],
    loaded: LoadedValue[V],
    ttl_s: float,
    version: str,
    tags_of_key: frozenset[str] = frozenset(),
) -> Entry:
    """Return the entry of a loaded value; raises UnfitValue."""
    return Entry(
        family=family,
        payload=codec.encode(loaded.value),
        tags=loaded.tags | tags_of_key,
        ttl_s=ttl_s if loaded.keep_s is None else min(ttl_s, loaded.keep_s),
        version=version,
    )
