"""The count of invalidations in this process's memory, and the marks it leaves; see base.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from cache_layer.backends.local_records import MARK_BYTES


class LocalMarks:
    """What was invalidated, by mark, and at which count; not for two threads at once. A mark is
    remembered for `horizon_ms`; all of them take `max_bytes` at most."""

    def __init__(self, *, horizon_ms: int, max_bytes: int) -> None:
        self._horizon_ms = horizon_ms
        self._max_bytes = max_bytes
        self._marks: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.used_bytes = 0
        self.count = 0
        self.floor = 0

    def set(self, marks: Iterable[str], now_ms: int) -> None:
        """Count one invalidation and mark with it all that it names."""
        self.count += 1
        for mark in marks:
            if mark not in self._marks:
                self.used_bytes += MARK_BYTES + len(mark)
            self._marks[mark] = (self.count, now_ms)
            self._marks.move_to_end(mark)
            self._fold_into_floor()
        self._forget_old(now_ms)

    def raise_floor(self) -> None:
        """Count one invalidation of everything."""
        self.count += 1
        self.floor = self.count

    def any_above(self, count: int, marks: Collection[str]) -> bool:
        """Say whether one of these was set after the count was this."""
        return any(self._marks.get(mark, (0, 0))[0] > count for mark in marks)

    def _forget_old(self, now_ms: int) -> None:
        while self._marks:
            _, set_at_ms = next(iter(self._marks.values()))
            if set_at_ms >= now_ms - self._horizon_ms:
                return
            self._forget_oldest()

    def _fold_into_floor(self) -> None:
        """Keep the marks within their bytes: what the oldest would refuse, the floor refuses."""
        while self.used_bytes > self._max_bytes:
            self.floor = max(self.floor, self._forget_oldest())

    def _forget_oldest(self) -> int:
        """Drop the mark that was set first and return its count."""
        mark, (count, _) = self._marks.popitem(last=False)
        self.used_bytes -= MARK_BYTES + len(mark)
        return count
