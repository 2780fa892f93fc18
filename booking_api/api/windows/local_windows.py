"""Windows in this process's memory: without a Redis, and while it is away."""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from booking_api.api.windows.accounts import MICROSECONDS, Account, Accounts, Take

MAX_CALLERS: Final = 10_000
"""For each scope: who floods one makes nobody forgotten in another."""
MAX_FORGOTTEN: Final = 2
"""For each caller who comes: accounts that are over go faster than others come, none waits long."""


def read_clock() -> float:
    """Return the seconds since 1970: a restarted process need not agree with what it counted."""
    return time.time()


class Slots:
    """When how many were counted, the oldest first."""

    __slots__ = ("_counts", "_instants", "total")

    def __init__(self) -> None:
        self._instants = array("q")
        self._counts = array("q")
        self.total = 0

    def drop_expired(self, now_us: int, period_us: int) -> None:
        """Drop what has left the window, and everything if the clock was set back by more."""
        instants = self._instants
        if len(instants) > 0 and instants[-1] > now_us + period_us:
            self._drop_oldest(len(instants))
        expired = 0
        while expired < len(instants) and instants[expired] <= now_us - period_us:
            expired += 1
        if expired > 0:
            self._drop_oldest(expired)

    def are_over(self, now_us: int, period_us: int) -> bool:
        """Return whether nothing is left in the window."""
        return len(self._instants) == 0 or self._instants[-1] <= now_us - period_us

    def add(self, instant_us: int) -> int:
        """Count one and return at which instant it is counted: never before an earlier one."""
        if self.total > 0 and self._instants[-1] >= instant_us:
            self._counts[-1] += 1
        else:
            self._instants.append(instant_us)
            self._counts.append(1)
        self.total += 1
        return self._instants[-1]

    def remove(self, instant_us: int) -> None:
        for place in range(len(self._instants) - 1, -1, -1):
            if self._instants[place] == instant_us:
                self._remove_at(place)
                return

    def remove_oldest(self) -> None:
        self._remove_at(0)

    def frees_at_us(self, amount: int) -> int:
        """Return when so few will be left that one more is within `amount`, without the period."""
        left, place = self.total, -1
        while left >= amount:
            place += 1
            left -= self._counts[place]
        return self._instants[place]

    def _remove_at(self, place: int) -> None:
        self.total -= 1
        self._counts[place] -= 1
        if self._counts[place] == 0:
            del self._instants[place], self._counts[place]

    def _drop_oldest(self, number: int) -> None:
        self.total -= sum(self._counts[:number])
        del self._instants[:number], self._counts[:number]


class LocalWindows:
    """At most `max_callers` accounts a scope: those that were asked about least lately go first.

    `clock` gives seconds."""

    def __init__(
        self, clock: Callable[[], float] = read_clock, max_callers: int = MAX_CALLERS
    ) -> None:
        self._clock = clock
        self._max_callers = max_callers
        self._lock = threading.Lock()
        self._scopes: defaultdict[str, OrderedDict[str, Slots]] = defaultdict(OrderedDict)

    def take(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        with self._lock:
            now_us = self._now_us()
            refusal = self._find_refusal(scope, period_us, accounts, now_us)
            if refusal is not None:
                return refusal
            taken = tuple(
                (account.key, self._count_one(scope, period_us, account, now_us))
                for account in accounts
            )
        return Take(granted=True, _undo=partial(self._give_back, scope, taken))

    def look(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        with self._lock:
            refusal = self._find_refusal(scope, period_us, accounts, self._now_us())
        return Take(granted=True) if refusal is None else refusal

    def add(self, scope: str, period_us: int, accounts: Accounts) -> None:
        with self._lock:
            now_us = self._now_us()
            for account in accounts:
                self._count_one(scope, period_us, account, now_us)

    def count(self, scope: str, period_us: int, account: Account) -> int:
        with self._lock:
            slots = self._find(scope, period_us, account, self._now_us())
            return 0 if slots is None else slots.total

    def close(self) -> None:
        with self._lock:
            self._scopes.clear()

    def _give_back(self, scope: str, taken: tuple[tuple[str, int], ...]) -> None:
        with self._lock:
            for key, instant_us in taken:
                slots = self._scopes[scope].get(key)
                if slots is not None:
                    slots.remove(instant_us)

    def _now_us(self) -> int:
        return round(self._clock() * MICROSECONDS)

    def _find(self, scope: str, period_us: int, account: Account, now_us: int) -> Slots | None:
        slots = self._scopes[scope].get(account.key)
        if slots is not None:
            slots.drop_expired(now_us, period_us)
        return slots

    def _find_refusal(
        self, scope: str, period_us: int, accounts: Accounts, now_us: int
    ) -> Take | None:
        frees_at_us = 0
        for account in accounts:
            slots = self._find(scope, period_us, account, now_us)
            if slots is not None and slots.total >= account.amount:
                frees_at_us = max(frees_at_us, slots.frees_at_us(account.amount))
        if frees_at_us == 0:
            return None
        wait_us = frees_at_us + period_us - now_us
        return Take(granted=False, retry_after_s=wait_us / MICROSECONDS)

    def _count_one(self, scope: str, period_us: int, account: Account, now_us: int) -> int:
        """Count one and return its instant, in microseconds."""
        callers = self._scopes[scope]
        slots = callers.get(account.key)
        if slots is None:
            _forget_some_that_are_over(callers, period_us, now_us)
            slots = callers[account.key] = Slots()
            if len(callers) > self._max_callers:
                callers.popitem(last=False)
        else:
            callers.move_to_end(account.key)
        slots.drop_expired(now_us, period_us)
        slot_us = account.slot_us(period_us)
        instant_us = slots.add(-(-now_us // slot_us) * slot_us)
        while slots.total > account.amount:
            slots.remove_oldest()
        return instant_us


def _forget_some_that_are_over(
    callers: OrderedDict[str, Slots], period_us: int, now_us: int
) -> None:
    """Forget the accounts that were counted in longest ago, as far as they are empty by now."""
    for _ in range(MAX_FORGOTTEN):
        oldest = next(iter(callers), None)
        if oldest is None or not callers[oldest].are_over(now_us, period_us):
            return
        del callers[oldest]
