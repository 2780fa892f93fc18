"""What could not be warmed, and is left alone for a while: asking again at once would cost a call
in every round and bring the same."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hubspot_sync.wire.deadlines import Monotonic

WAIT_S: Final = 300.0
MAX_HELD: Final = 10_000


class Postponed:
    """Names that are not tried again before `WAIT_S` have passed. Used by one thread at a time."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._until_s: OrderedDict[str, float] = OrderedDict()
        self._not_kept: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._until_s.get(name, 0.0) > self._clock()

    def add(self, name: str) -> None:
        """Leave this alone for a while."""
        self._until_s[name] = self._clock() + WAIT_S
        self._until_s.move_to_end(name)
        if len(self._until_s) > MAX_HELD:
            self._until_s.popitem(last=False)

    def note_kept(self, name: str) -> None:
        self._not_kept.discard(name)

    def note_not_kept(self, name: str) -> None:
        """Note that this was loaded and the cache did not keep it. Once is no reason to wait: there
        may have been an invalidation meanwhile. Twice in a row it is."""
        if name in self._not_kept:
            self._not_kept.discard(name)
            self.add(name)
        elif len(self._not_kept) < MAX_HELD:
            self._not_kept.add(name)
