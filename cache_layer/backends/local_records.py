"""What the cache in memory keeps of an entry, and what that takes of the bound in bytes."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import msgspec

from cache_layer.backends.proof import Proof
from cache_layer.entries.entries import Entry, HeldEntry

# What CPython 3.11 to 3.14 take on 64 bits, measured over caches of few and of many tags
# (tests/cache_layer/backends/test_memory.py): for an entry beside its payload and its key's text,
# for each of its tags beside the text, and for a mark beside its text.
ENTRY_BYTES: Final = 700
TAG_BYTES: Final = 220
MARK_BYTES: Final = 250


class Record(msgspec.Struct, frozen=True, gc=False):
    """An entry with its times: it expires at `expires_s`, unless the feed proves it to be fresh,
    and then at `ends_s`."""

    entry: Entry
    stamp: int
    stored_at_s: float
    expires_s: float
    ends_s: float

    def as_held(self, now_s: float, proof: Proof) -> HeldEntry:
        return HeldEntry(
            entry=self.entry,
            stamp=self.stamp,
            age_s=now_s - self.stored_at_s,
            proven=self.entry.epoch != "" and self._proven_until_s(proof) > now_s,
        )

    def live_until_s(self, proof: Proof) -> float:
        """Return the instant until which it is served as things stand."""
        if self.entry.epoch == "":
            return self.expires_s
        return max(self.expires_s, self._proven_until_s(proof))

    def _proven_until_s(self, proof: Proof) -> float:
        if self.entry.epoch != proof.epoch or proof.confirmed_ms is None:
            return -math.inf
        # To the end of the millisecond in which the proof lapses.
        return min(self.ends_s, (proof.lapses_ms + 1) / 1000)


def compute_cost(key: str, value: bytes, tags: Collection[str]) -> int:
    """Return what an entry takes of the bound in bytes."""
    of_tags = TAG_BYTES * len(tags) + sum(map(len, tags))
    return ENTRY_BYTES + len(key) + len(value) + of_tags


def tag_mark(tag: str) -> str:
    return f"tag {tag}"


def key_mark(key: str) -> str:
    return f"key {key}"
