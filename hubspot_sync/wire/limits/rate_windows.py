"""What may still be sent: the windows and the day that HubSpot counts in.

HubSpot counts requests as they *arrive*, somewhere between our sending and its answer. So a slot is
held from the sending until the answer, and then for one whole window more: whenever a call is sent,
every call that can have arrived within HubSpot's window before it is counted, and the limit cannot
be exceeded however the transit times vary. The price is one transit time per window, about a tenth
of a second in ten.

The counting is `limits`': its moving window, and its fixed one for the day, on a storage here with
a clock of our choice. What several processes share is `shared_windows.py`'s, who goes next
`rate_budget.py`'s. Not locked: whoever holds the limits does that.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar, Final, Protocol

from limits import RateLimitItemPerDay, RateLimitItemPerSecond
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
from typing_extensions import override

from hubspot_sync.wire.deadlines import Monotonic

TRANSIT_ALLOWANCE_S: Final = 1
"""How much later a call of another process may arrive that was sent before a given moment."""

Amounts = tuple[tuple[int, float], ...]
"""So many in so many seconds, all of which hold."""

SPREAD_OVER_S: Final = 4.0
"""So a quarter is a whole number, too."""

UNKNOWN_WAIT_S: Final = 0.1
"""Soon enough to look again where the wait cannot be reckoned."""


class WindowStorage(Storage, MovingWindowSupport):
    """A storage for `limits` in this process. The library's own reads the wall clock, whose steps
    would block everything or let everything through, and starts a thread per expiry.

    `fixed_window_s` says in how many seconds a fixed window that begins now will end, where that
    depends on when it begins: a day of the portal's does."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Monotonic, fixed_window_s: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._fixed_window_s = fixed_window_s
        self._entries: defaultdict[str, list[float]] = defaultdict(list)
        self._counts: dict[str, tuple[int, float]] = {}

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    @override
    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        entries = self._drop_expired(key, expiry)
        if len(entries) + amount > limit:
            return False
        entries.extend([self._clock()] * amount)
        return True

    @override
    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        entries = self._drop_expired(key, expiry)
        return (entries[0] if entries else self._clock()), len(entries)

    def nth_leaves_at(self, key: str, expiry: int, nth: int) -> float:
        """Return when the nth oldest entry, from 1, will be out of the window. It may have left
        since it was counted."""
        entries = self._drop_expired(key, expiry)
        return entries[nth - 1] + expiry if nth <= len(entries) else self._clock()

    @override
    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends_at = self._counts.get(key, (0, 0.0))
        if count == 0 or ends_at <= self._clock():
            lasts_s = expiry if self._fixed_window_s is None else self._fixed_window_s()
            count, ends_at = 0, self._clock() + lasts_s
        self._counts[key] = (count + amount, ends_at)
        return count + amount

    @override
    def get(self, key: str) -> int:
        count, ends_at = self._counts.get(key, (0, 0.0))
        return count if ends_at > self._clock() else 0

    @override
    def get_expiry(self, key: str) -> float:
        return self._counts.get(key, (0, self._clock()))[1]

    @override
    def check(self) -> bool:
        return True

    @override
    def reset(self) -> int | None:
        self._entries.clear()
        self._counts.clear()
        return None

    @override
    def clear(self, key: str) -> None:
        self._entries.pop(key, None)
        self._counts.pop(key, None)

    def _drop_expired(self, key: str, expiry: int) -> list[float]:
        """Return what is left; an entry lives up to and including the end of its window."""
        entries = self._entries[key]
        del entries[: bisect_left(entries, self._clock() - expiry)]
        return entries


class RateLimit(Protocol):
    """One limit. Before each sending `has_room` is asked, then `take`, and afterwards exactly one
    of `put_back` and `count_answer`. One that `takes_at_once` finds out by `take` whether there is
    room: of it, `has_room` would ask the same twice."""

    takes_at_once: ClassVar[bool]

    def has_room(self, calls: int = 1) -> bool:
        """Return whether so many more may be sent now."""
        ...

    def take(self) -> bool:
        """Count one more; return False, and count nothing, if another process was faster."""
        ...

    def put_back(self) -> None:
        """It was not sent after all."""
        ...

    def count_answer(self, took_s: float) -> None: ...

    def min_wait_s(self, ahead: int) -> float:
        """Return the least wait in seconds for one with so many before it."""
        ...


class ArrivalWindow:
    """At most `amount` arrivals in any `window_s`, which is rounded up to whole seconds."""

    takes_at_once: ClassVar[bool] = False

    def __init__(self, name: str, amount: int, window_s: float, clock: Monotonic) -> None:
        self._name = name
        self._item = RateLimitItemPerSecond(amount, math.ceil(window_s), "hubspot")
        self._storage = WindowStorage(clock)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._clock = clock
        self._in_flight = 0
        self._paused_until_s = 0.0

    @property
    def amount(self) -> int:
        return self._item.amount

    @property
    def used(self) -> int:
        """How many count now: what was answered within the window, and what is under way."""
        left = self._limiter.get_window_stats(self._item, self._name).remaining
        return self._item.amount - left + self._in_flight

    def pause(self, seconds: float) -> None:
        self._paused_until_s = max(self._paused_until_s, self._clock() + seconds)

    def has_room(self, calls: int = 1) -> bool:
        if self._clock() < self._paused_until_s:
            return False
        return self._limiter.test(self._item, self._name, cost=self._in_flight + calls)

    def take(self) -> bool:
        self._in_flight += 1
        return True

    def put_back(self) -> None:
        self._in_flight -= 1

    def count_answer(self, took_s: float) -> None:  # noqa: ARG002 - the time is another limit's
        self._in_flight -= 1
        self._limiter.hit(self._item, self._name)

    def min_wait_s(self, ahead: int) -> float:
        """Calls under way count as answered this instant: the true wait may be a little longer."""
        pause_s = self._paused_until_s - self._clock()
        window_s, amount = self._item.get_expiry(), self._item.amount
        answered = amount - self._limiter.get_window_stats(self._item, self._name).remaining
        short = answered + self._in_flight + ahead + 1 - amount
        if short <= 0:
            return max(0.0, pause_s)
        if short > answered:
            return max(pause_s, float(window_s * math.ceil((short - answered) / amount)))
        key = self._item.key_for(self._name)
        return max(pause_s, self._storage.nth_leaves_at(key, window_s, short) - self._clock())


class UnderWay:
    """At most `amount` calls at the same time, so that a slow HubSpot leaves others connections."""

    takes_at_once: ClassVar[bool] = False

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._under_way = 0

    def has_room(self, calls: int = 1) -> bool:
        return self._under_way + calls <= self._amount

    def take(self) -> bool:
        self._under_way += 1
        return True

    def put_back(self) -> None:
        self._under_way -= 1

    def count_answer(self, took_s: float) -> None:  # noqa: ARG002 - the time is another limit's
        self._under_way -= 1

    def min_wait_s(self, ahead: int) -> float:
        """Nobody knows when one ends; whoever waits is woken then."""
        return 0.0 if self._under_way + ahead < self._amount else UNKNOWN_WAIT_S


class Day:
    """At most `amount` sendings in a day of the portal's; the storage knows when it ends.

    HubSpot counts what others send with the token, too: its own 429 `DAILY` decides.
    """

    takes_at_once: ClassVar[bool] = False

    def __init__(self, name: str, amount: int, storage: Storage, clock: Monotonic) -> None:
        self._name = name
        self._item = RateLimitItemPerDay(amount, namespace="hubspot")
        self._storage = storage
        self._limiter = FixedWindowRateLimiter(storage)
        self._clock = clock

    @property
    def amount(self) -> int:
        return self._item.amount

    @property
    def used(self) -> int:
        return self._item.amount - self._limiter.get_window_stats(self._item, self._name).remaining

    def has_room(self, calls: int = 1) -> bool:
        return self._limiter.test(self._item, self._name, cost=calls)

    def take(self) -> bool:
        return self._limiter.hit(self._item, self._name)

    def put_back(self) -> None:
        """Stays counted: too careful by one."""

    def count_answer(self, took_s: float) -> None:
        """Counted when it was sent."""

    def min_wait_s(self, ahead: int) -> float:
        stats = self._limiter.get_window_stats(self._item, self._name)
        return 0.0 if stats.remaining > ahead else max(0.0, stats.reset_time - self._clock())


def cut(amount: int, share: float) -> int:
    """Return a share of an amount, cut down to a whole number, and at least one."""
    return max(1, int(amount * share))


def spread(per_second: int, share: float) -> Amounts:
    """Return the amounts and windows, in seconds, that are a share of so many a second. What is no
    whole number, such as half of five, is rounded up in each second and kept over several: cut
    down to a whole one in each, a fifth of it would be lost."""
    exact = Decimal(per_second) * Decimal(str(share))
    in_a_second = max(1, math.ceil(exact))
    if in_a_second == exact:
        return ((in_a_second, 1.0),)
    over_several = max(1, int(exact * Decimal(SPREAD_OVER_S)))
    return ((in_a_second, 1.0), (over_several, SPREAD_OVER_S))
