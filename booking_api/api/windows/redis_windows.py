"""Windows in Redis: any number of processes and hosts count together, by Redis' own clock.

Each atomic step is one Lua file in `scripts/`. An account is one list that ends by itself when its
period is over. While Redis is away this process counts alone: that lets through more than the
amount where there are several processes, but never everything, and no request fails for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from booking_api.api.windows.accounts import MICROSECONDS, Account, Accounts, Take
from booking_api.api.windows.local_windows import LocalWindows

SCRIPTS: Final = Path(__file__).parent / "scripts"
KEY_PREFIX: Final = "mocks-window"
TIMEOUT_S: Final = 1.0
MAX_CONNECTIONS: Final = 64
WITHOUT_REDIS_S: Final = 5.0
"""How long nobody asks a Redis that did not answer: each of many threads would wait for it."""
LOG_EVERY_S: Final = 60.0

logger = logging.getLogger(__name__)


class RedisWindows:
    """`clock`, in seconds, is Redis' own where it is None."""

    def __init__(
        self,
        url: str,
        *,
        key_prefix: str = KEY_PREFIX,
        clock: Callable[[], float] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        # Threads outnumber the connections and wait for one: a script takes a tenth of a
        # millisecond. One try more at once, for a pooled connection that Redis has closed. What ran
        # twice is counted twice, which is too careful by one.
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._client = Redis(connection_pool=self._pool)
        self._prefix = key_prefix
        self._clock = clock
        self._local = LocalWindows()
        self._take, self._look = self._register("take"), self._register("look")
        self._add, self._remove = self._register("add"), self._register("give_back")
        self._log_lock = threading.Lock()
        self._asks_again_at_s = 0.0
        self._logs_again_at_s = 0.0

    def take(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        answer = self._run(self._take, period_us, accounts)
        if answer is None:
            return self._local.take(scope, period_us, accounts)
        wait_us, *instants = answer
        if wait_us > 0:
            return Take(granted=False, retry_after_s=wait_us / MICROSECONDS)
        undo = partial(self._give_back, period_us, accounts, instants)
        return Take(granted=True, _undo=undo)

    def look(self, scope: str, period_us: int, accounts: Accounts) -> Take:
        answer = self._run(self._look, period_us, accounts)
        if answer is None:
            return self._local.look(scope, period_us, accounts)
        wait_us, _ = answer
        return Take(granted=wait_us == 0, retry_after_s=wait_us / MICROSECONDS)

    def add(self, scope: str, period_us: int, accounts: Accounts) -> None:
        if self._run(self._add, period_us, accounts) is None:
            self._local.add(scope, period_us, accounts)

    def count(self, scope: str, period_us: int, account: Account) -> int:
        answer = self._run(self._look, period_us, (account,))
        if answer is None:
            return self._local.count(scope, period_us, account)
        return int(answer[1])

    def close(self) -> None:
        self._client.close()
        self._pool.disconnect()

    def _give_back(self, period_us: int, accounts: Accounts, instants: list[int]) -> None:
        self._run(self._remove, period_us, accounts, *instants)

    def _register(self, name: str) -> Script:
        text = "".join(
            (SCRIPTS / f"{part}.lua").read_text(encoding="utf-8") for part in ("common", name)
        )
        return self._client.register_script(text)

    def _run(self, script: Script, period_us: int, accounts: Accounts, *more: int) -> Any:
        """Return the script's answer, None while Redis is away."""
        if time.monotonic() < self._asks_again_at_s:
            return None
        now_us = "" if self._clock is None else round(self._clock() * MICROSECONDS)
        keys = [f"{self._prefix}:{account.key}" for account in accounts]
        sizes = [size for each in accounts for size in (each.amount, each.slot_us(period_us))]
        try:
            return script(keys, [now_us, period_us, *sizes, *more])
        except (RedisError, OSError) as error:
            self._rest(error)
            return None

    def _rest(self, error: Exception) -> None:
        now_s = time.monotonic()
        with self._log_lock:
            self._asks_again_at_s = now_s + WITHOUT_REDIS_S
            is_silent = now_s < self._logs_again_at_s
            if not is_silent:
                self._logs_again_at_s = now_s + LOG_EVERY_S
        if not is_silent:
            logger.warning("throttles.redis_lost", extra={"error": type(error).__name__})
