"""What a process knows of the Redis in which several share HubSpot's limits: whether it is there,
how many processes it has heard of, and the share of one that cannot tell.

What is counted there is `shared_windows.py`'s. Not locked: whoever holds the limits does that.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.limits.window_scripts import SCRIPTS

logger = logging.getLogger(__name__)

V = TypeVar("V")

REDIS_RETRY_AFTER_S: Final = 5.0
MAX_HEARSAY_S: Final = 30.0
"""How long it is good what Redis said of the number of processes."""
SMALLEST_SHARE: Final = 1 / 16
SHARED_OUT: Final = 0.9
"""The rest is for processes that have just begun and are not counted yet."""


@dataclass(frozen=True, slots=True)
class Said:
    """What Redis said of windows: may one more go in all of them, how many are left in each after
    it, how many processes there are, and what it is called since it remembers."""

    granted: bool
    left: Sequence[int]
    processes: int
    called: bytes


class SharedRedis:
    """What this process knows of the Redis it shares with others. While that is away, nobody asks
    it for a while. `name` is whose budget it is, `window_s` the longest window that is kept there.
    """

    def __init__(self, redis: Redis, clock: Monotonic, *, name: str, window_s: float) -> None:
        self.redis = redis
        # In braces: a cluster keeps them together.
        self._prefix = f"hubspot-sent:{{{name}}}"
        self.common_keys = [f"{self._prefix}:{key}" for key in ("called", "processes")]
        """What this Redis is called, and who shares it: of all windows together."""
        self._scripts = {text: redis.register_script(text) for text in SCRIPTS}
        self.clock = clock
        self.process = uuid.uuid4().hex
        self._hold_s = window_s + REDIS_RETRY_AFTER_S
        self._asked_again_at_s = 0.0
        self._heard_s: float | None = None
        self._processes = 0
        self._called: bytes | None = None
        self._held_until_s = 0.0
        self._new_until_s = math.inf
        self._is_held_as_new = False
        self.has_been_told_left = False
        """Whether HubSpot has said how many are left."""
        self.is_told = False
        """Whether it has said so since Redis may have forgotten."""
        self.lost_at_s: float | None = None
        self.times_forgotten = 0
        """How often Redis may have forgotten what this process sent."""

    def keys_of(self, window: str) -> list[str]:
        """Return the keys of a window: its own, and what HubSpot has told of it."""
        return [f"{self._prefix}:{key}" for key in (window, f"{window}-unseen", f"{window}-heard")]

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run one of the windows' scripts; raise RedisError."""
        return self._scripts[script](keys=keys, args=arguments)

    @property
    def holds_to_share(self) -> bool:
        """Whether others may have sent what Redis does not know of."""
        if self.lost_at_s is not None:
            return True
        knows = self._is_held_as_new and self.has_been_told_left
        return self.clock() < self._held_until_s and not knows

    def ask(self, question: Callable[[], V]) -> V | None:
        """Return the answer, None where there is none."""
        if self.lost_at_s is not None and self.clock() < self._asked_again_at_s:
            return None
        try:
            answer = question()
        except RedisError as error:
            self._lose(error)
            return None
        if self.lost_at_s is not None:
            self.lost_at_s = None
            self._expect_nothing_of_it()
        return answer

    def note(self, said: Said) -> None:
        """Remember what was said of others. One that forgot has not heard of all of them yet; and a
        process that hears it for the first time cannot know whether it did."""
        is_new = self._called is None and self.times_forgotten == 0
        if self._called is None:
            self._new_until_s = self.clock() + self._hold_s
        if self._called != said.called:
            self._expect_nothing_of_it()
            self._is_held_as_new = is_new
        self._called = said.called
        known = self._processes if self.holds_to_share else 0
        self._processes, self._heard_s = max(known, said.processes), self.clock()

    def share_of(self, amount: int) -> int:
        """Return this process's share of an amount; one at least."""
        is_sure = self.has_been_told_left or self.clock() >= self._new_until_s
        knows = self._knows_others and is_sure
        share = SHARED_OUT / self._processes if knows else SMALLEST_SHARE
        return max(1, int(amount * share))

    @property
    def has_been_heard(self) -> bool:
        return self._heard_s is not None

    @property
    def _knows_others(self) -> bool:
        """Whether Redis has said lately enough how many processes there are."""
        at_s = self.clock() if self.lost_at_s is None else self.lost_at_s
        return self._heard_s is not None and at_s - self._heard_s <= MAX_HEARSAY_S

    def _lose(self, error: RedisError) -> None:
        self._asked_again_at_s = self.clock() + REDIS_RETRY_AFTER_S
        if self.lost_at_s is None:
            logger.warning("hubspot.shared_budget_lost", extra={"error": type(error).__name__})
            self.lost_at_s = self.clock()

    def _expect_nothing_of_it(self) -> None:
        self.times_forgotten += 1
        self._is_held_as_new = self.is_told = False
        self._held_until_s = self.clock() + self._hold_s
