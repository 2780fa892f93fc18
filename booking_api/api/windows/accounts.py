"""What a store of windows keeps: an account for each caller, and what is taken from it.

An account is a list of slots, each an instant and how many were counted at it. Up to MAX_SLOTS an
amount is counted to the microsecond. A larger one is counted in MAX_SLOTS parts of the period, each
request as if it came at its part's end: what an account needs stays bounded whatever the rate, and
still no more than the amount passes in any period.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

MAX_SLOTS: Final = 512
MICROSECONDS: Final = 1_000_000


class Account(NamedTuple):
    """One caller's, under a key that does not say who it is: at most `amount` in a period."""

    key: str
    amount: int

    def slot_us(self, period_us: int) -> int:
        """Return how long one slot is."""
        return 1 if self.amount <= MAX_SLOTS else -(-period_us // MAX_SLOTS)


@dataclass(slots=True)
class Take:
    """Whether one was granted, and if not, in how many seconds there is room for one."""

    granted: bool
    retry_after_s: float = 0.0
    _undo: Callable[[], None] | None = field(default=None, repr=False)

    def give_back(self) -> None:
        """Count as if it had never been taken; the second time, and if refused, do nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()


Accounts = tuple[Account, ...]


class WindowStore(Protocol):
    """Where accounts are kept. Each method is atomic over all the accounts it is given, which are
    of one scope and one period, and none raises."""

    def take(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        """Count one in every account if there is room in all, else in none."""
        ...

    def look(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        """Return what `take` would, and count nothing."""
        ...

    def add(self, scope: str, period_us: int, accounts: Accounts) -> None:
        """Count one in every account; what would be above an amount pushes out the oldest."""
        ...

    def count(self, scope: str, period_us: int, account: Account) -> int: ...

    def close(self) -> None: ...
