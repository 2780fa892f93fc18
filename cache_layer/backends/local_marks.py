"""The count of invalidations in this process's memory, and the marks it leaves; see base.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from cache_layer.backends.local_records import MARK_BYTES


class LocalMarks:
    """What was invalidated, by mark, at which count and when; not for two threads at once. All
    marks take `max_bytes` at most."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._marks: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.used_bytes = 0
        self.count = 0
        self.floor = 0
        self._floor_at_ms = -1

    def set(self, marks: Iterable[str], now_ms: int, remembered_ms: int) -> None:
        """Count one invalidation and mark with it all that it names; forget marks that are older
        than what is to be remembered."""
        self.count += 1
        for mark in marks:
            if mark not in self._marks:
                self.used_bytes += MARK_BYTES + len(mark)
            self._marks[mark] = (self.count, now_ms)
            self._marks.move_to_end(mark)
            self._fold_into_floor()
        self._forget_before(now_ms - remembered_ms)

    def raise_floor(self, now_ms: int) -> None:
        """Count one invalidation of everything."""
        self.count += 1
        self.floor = self.count
        self._floor_at_ms = now_ms

    def any_above(self, count: int, marks: Collection[str]) -> bool:
        """Say whether one of these was set after the count was this."""
        return any(self._marks.get(mark, (0, 0))[0] > count for mark in marks)

    def any_since(self, instant_ms: int, marks: Collection[str]) -> bool:
        """Say whether one of these may have been set at this instant or after it."""
        if self._floor_at_ms >= instant_ms:
            return True
        return any(self._marks.get(mark, (0, -1))[1] >= instant_ms for mark in marks)

    def _forget_before(self, instant_ms: int) -> None:
        while self._marks:
            _, set_at_ms = next(iter(self._marks.values()))
            if set_at_ms >= instant_ms:
                return
            self._forget_oldest()

    def _fold_into_floor(self) -> None:
        """Keep the marks within their bytes: what the oldest would refuse, the floor refuses."""
        while self.used_bytes > self._max_bytes:
            count, set_at_ms = self._forget_oldest()
            self.floor = max(self.floor, count)
            self._floor_at_ms = max(self._floor_at_ms, set_at_ms)

    def _forget_oldest(self) -> tuple[int, int]:
        """Drop the mark that was set first; return its count and when that was."""
        mark, (count, set_at_ms) = self._marks.popitem(last=False)
        self.used_bytes -= MARK_BYTES + len(mark)
        return count, set_at_ms
