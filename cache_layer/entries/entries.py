"""What is stored: the shape of an entry, and of a value with what it was built from.

Here, and wherever a few of a kind are made for each entry, they are structs of msgspec's: a frozen
dataclass takes eight times as long to make. What can be in no circle is hidden from the collector.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from cache_layer.entries.values import ValueCodec

V = TypeVar("V")


class Miss(Enum):
    """Nothing is there; never to be taken for a value that is None."""

    MISS = "miss"


MISS = Miss.MISS


class LoadedValue(msgspec.Struct, Generic[V], frozen=True):
    """A value as its loader made it, and the tags of everything it was built from.

    `keep_s` is the most seconds it may be kept, where it will not stay true for longer; no proof of
    the change feed lifts that. `ttl_s` is its time to live, where what it was built from leaves it
    less than its family's entries have. `epoch` is the feed's epoch in which what it was built from
    was loaded, None where all of it comes from the load itself; see `join_epochs`.
    """

    value: V
    tags: frozenset[str]
    keep_s: float | None = None
    ttl_s: float | None = None
    epoch: str | None = None

    @classmethod
    def built_from(cls, value: V, tags: Collection[str]) -> LoadedValue[V]:
        return cls(value, frozenset(tags))

    def stored_in(self, epoch: str) -> LoadedValue[V]:
        """Return the same as it was stored: in an epoch of the feed, or without proof."""
        return LoadedValue(self.value, self.tags, self.keep_s, self.ttl_s, epoch)

    def with_tags(self, tags: frozenset[str]) -> LoadedValue[V]:
        """Return the same with other tags."""
        return LoadedValue(self.value, tags, self.keep_s, self.ttl_s, self.epoch)


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a backend keeps under a key. `version` is that of the value's types and of where it
    came from: an entry of another is none to whoever reads it, and `payload` means nothing to
    them. With an `epoch` of the change feed it may outlive `ttl_s`, which may be 0; without, the
    epoch is empty. It, and what is built from it, comes to be `keep_s` old at most. `ahead` says
    that it was loaded ahead of any reader."""

    family: str
    payload: bytes
    tags: frozenset[str]
    ttl_s: float
    version: str
    keep_s: float = math.inf
    epoch: str = ""
    ahead: bool = False


Stamp = tuple[str, int]
"""Which entry it was that was found: a backend's generation, and in it `HeldEntry.stamp`. No other
entry, earlier or later, under whatever key, has the same."""


class HeldEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry as it was found. `stamp` differs for every store, so that two looks at one key can
    tell whether it is still the same entry. `proven` says whether the change feed proves it fresh,
    which one must be whose `ttl_left_s` is not above 0."""

    entry: Entry
    stamp: int
    age_s: float
    proven: bool = False

    @property
    def ttl_left_s(self) -> float:
        return self.entry.ttl_s - self.age_s

    @property
    def keep_left_s(self) -> float:
        return self.entry.keep_s - self.age_s


class Packing(msgspec.Struct, Generic[V], frozen=True, kw_only=True):
    """How the values of one family become entries: of a version, after a load that began in an
    epoch of the change feed. They may come to be `proven_s` old where that proves them fresh;
    without an epoch nothing does."""

    family: str
    codec: ValueCodec[V]
    ttl_s: float
    version: str
    epoch: str = ""
    proven_s: float = math.inf
    ahead: bool = False

    def pack(self, loaded: LoadedValue[V], tags_of_key: frozenset[str] = frozenset()) -> Entry:
        """Return a value's entry; raises UnfitValue."""
        ttl_s, keep_s = self.ttl_s, self.proven_s
        if loaded.ttl_s is not None:
            ttl_s = min(ttl_s, loaded.ttl_s)
        if loaded.keep_s is not None:
            ttl_s, keep_s = min(ttl_s, loaded.keep_s), min(keep_s, loaded.keep_s)
        return Entry(
            family=self.family,
            payload=self.codec.encode(loaded.value),
            tags=loaded.tags | tags_of_key if tags_of_key else loaded.tags,
            ttl_s=max(0.0, ttl_s),
            version=self.version,
            keep_s=keep_s,
            epoch=self.epoch if loaded.epoch is None or loaded.epoch == self.epoch else "",
            ahead=self.ahead,
        )


def join_epochs(one: str | None, other: str | None) -> str | None:
    """Return the epoch of what is built from two parts: that of both, or none, which is empty. A
    part that was just read from the truth, None, is of any."""
    if one is None or one == other:
        return other
    return one if other is None else ""
