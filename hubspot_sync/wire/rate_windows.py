"""What may still be sent: the windows and the day that HubSpot counts in.

HubSpot counts requests as they *arrive*, somewhere between our sending and its answer. So a slot is
held from the sending until the answer, and then for one whole window more: whenever a call is sent,
every call that can have arrived within HubSpot's window before it is counted, and the limit cannot
be exceeded however the transit times vary. The price is one transit time per window, about a tenth
of a second in ten.

The counting is `limits`': its moving window, and its fixed one for the day, on a storage here with
a clock of our choice, or on Redis, so that several processes share a budget; only the searches they
share are counted by a script of ours. Who goes next is `rate_budget.py`'s. Not locked: whoever
holds the limits does that.
"""

from __future__ import annotations

import logging
import math
import uuid
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from limits import RateLimitItemPerDay, RateLimitItemPerSecond
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
from redis import Redis
from redis.exceptions import RedisError
from typing_extensions import override

from hubspot_sync.wire.deadlines import Monotonic

logger = logging.getLogger(__name__)

TRANSIT_ALLOWANCE_S: Final = 1
"""How much longer the window shared through Redis is. Other processes' calls under way are not
seen there, so it counts sendings, and must outlast the transit; a longer transit is counted twice.
"""
REDIS_RETRY_AFTER_S: Final = 5.0
V = TypeVar("V")

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
        """Return when the nth oldest entry, from 1, will be out of the window."""
        return self._drop_expired(key, expiry)[nth - 1] + expiry

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
    of `put_back` and `count_answer`."""

    def has_room(self) -> bool:
        """Return whether one more may be sent now."""
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

    def __init__(self, name: str, amount: int, window_s: float, clock: Monotonic) -> None:
        self._name = name
        self._item = RateLimitItemPerSecond(amount, math.ceil(window_s), "hubspot")
        self._storage = WindowStorage(clock)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._clock = clock
        self._in_flight = 0
        self._paused_until_s = 0.0

    def pause(self, seconds: float) -> None:
        self._paused_until_s = max(self._paused_until_s, self._clock() + seconds)

    def has_room(self) -> bool:
        if self._clock() < self._paused_until_s:
            return False
        return self._limiter.test(self._item, self._name, cost=self._in_flight + 1)

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

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._under_way = 0

    def has_room(self) -> bool:
        return self._under_way < self._amount

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

    def __init__(self, name: str, amount: int, storage: Storage, clock: Monotonic) -> None:
        self._name = name
        self._item = RateLimitItemPerDay(amount, namespace="hubspot")
        self._storage = storage
        self._limiter = FixedWindowRateLimiter(storage)
        self._clock = clock

    def has_room(self) -> bool:
        return self._limiter.test(self._item, self._name)

    def take(self) -> bool:
        return self._limiter.hit(self._item, self._name)

    def put_back(self) -> None:
        """Stays counted: too careful by one."""

    def count_answer(self, took_s: float) -> None:
        """Counted when it was sent."""

    def min_wait_s(self, ahead: int) -> float:
        stats = self._limiter.get_window_stats(self._item, self._name)
        return 0.0 if stats.remaining > ahead else max(0.0, stats.reset_time - self._clock())


class RedisLine:
    """Asks Redis; while it is away, nobody does for a while, and each process goes on alone."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._without_redis_until_s = 0.0

    def ask(self, question: Callable[[], V], *, without: V) -> V:
        """Return the answer, or `without` where there is none."""
        if self._clock() < self._without_redis_until_s:
            return without
        try:
            return question()
        except RedisError as error:
            logger.warning("hubspot.shared_budget_lost", extra={"error": type(error).__name__})
            self._without_redis_until_s = self._clock() + REDIS_RETRY_AFTER_S
            return without


class SharedWindow:
    """A limit on the sendings of several processes, in Redis, whose clocks must agree.

    Without Redis the process goes on with its own windows, and asks again after a rest.
    """

    def __init__(
        self, name: str, amount: int, window_s: float, storage: Storage, clock: Monotonic
    ) -> None:
        self._name = name
        seconds = math.ceil(window_s) + TRANSIT_ALLOWANCE_S
        self._item = RateLimitItemPerSecond(amount, seconds, "hubspot")
        self._limiter = MovingWindowRateLimiter(storage)
        self._line = RedisLine(clock)

    def has_room(self) -> bool:
        return self._line.ask(lambda: self._limiter.test(self._item, self._name), without=True)

    def take(self) -> bool:
        return self._line.ask(lambda: self._limiter.hit(self._item, self._name), without=True)

    def put_back(self) -> None:
        """Stays counted: too careful by one."""

    def count_answer(self, took_s: float) -> None:
        if took_s > TRANSIT_ALLOWANCE_S:
            self.take()

    def min_wait_s(self, ahead: int) -> float:  # noqa: ARG002 - Redis is asked, not reckoned
        """Others fill it too."""
        return UNKNOWN_WAIT_S


# A sorted set: who was sent, by the time until which they may arrive, in microseconds. Whoever was
# answered arrived before that. ARGV: now or nothing, window, amount, time under way, name.
_SENT: Final = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
"""
_TAKE: Final = f"""{_SENT}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[2]))
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[4]), ARGV[5])
  redis.call('PEXPIRE', KEYS[1], math.ceil((ARGV[2] + ARGV[4]) / 1000) + 1000)
end
return 1
"""
_COUNT_ANSWER: Final = f"""{_SENT}
return redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now), ARGV[5])
"""


class SharedArrivals:
    """At most `amount` arrivals of several processes in any `window_s`, in Redis and by its clock.

    What `ArrivalWindow` is for one process. `SharedWindow` makes up for the transit with a window
    that is longer by a second: of ten seconds that is little, of one it is half of all searches.
    What a process sent that was killed counts as under way for `under_way_s`. `now_s` is another
    clock than Redis's, in seconds.
    """

    def __init__(
        self,
        name: str,
        amount: int,
        window_s: float,
        redis: Redis,
        clock: Monotonic,
        *,
        under_way_s: float,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self._key = f"hubspot-arrivals:{name}"
        self._sizes = (_microseconds(window_s), amount, _microseconds(under_way_s))
        self._redis = redis
        self._take, self._count = (redis.register_script(each) for each in (_TAKE, _COUNT_ANSWER))
        self._now_s = now_s
        self._line = RedisLine(clock)
        self._sent: deque[str] = deque()

    def has_room(self) -> bool:
        return self._line.ask(lambda: bool(self._take(*self._arguments(""))), without=True)

    def take(self) -> bool:
        name = uuid.uuid4().hex
        taken = self._line.ask(lambda: bool(self._take(*self._arguments(name))), without=True)
        if taken:
            self._sent.append(name)
        return taken

    def put_back(self) -> None:
        # Which of those under way it was is all the same: they count alike.
        name = self._sent.popleft()
        self._line.ask(lambda: self._redis.zrem(self._key, name), without=None)

    def count_answer(self, took_s: float) -> None:  # noqa: ARG002 - the time is Redis's
        name = self._sent.popleft()
        self._line.ask(lambda: self._count(*self._arguments(name)), without=None)

    def min_wait_s(self, ahead: int) -> float:  # noqa: ARG002 - Redis is asked, not reckoned
        """Others fill it too."""
        return UNKNOWN_WAIT_S

    def _arguments(self, name: str) -> tuple[list[str], list[str | int]]:
        now = "" if self._now_s is None else _microseconds(self._now_s())
        return [self._key], [now, *self._sizes, name]


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
