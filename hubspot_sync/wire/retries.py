"""Which calls are made again, how often, and after how long.

| what happened                              | reads, absolute writes | creates |
|--------------------------------------------|------------------------|---------|
| not done: 429, 423, connection never made  | again                  | again   |
| perhaps done: 5xx, cut off, timed out      | again                  | never   |
| anything else                              | never                  | never   |

One budget bounds it all: a number of attempts, and the caller's deadline. A wait that would end
after the deadline is not begun. Waits are jittered, so that callers refused together do not come
back together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import stamina

from hubspot_sync.background.backoff import backoff
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.deadlines import Deadline

MAX_WAIT_S: Final = 8.0
MAX_RETRY_AFTER_S: Final = 90_000
"""25 hours, the longest day: HubSpot has no limit that takes longer to end."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}")
MAX_JITTER: Final = 0.25
"""The largest part by which a wait is lengthened; never shortened, `Retry-After` is a minimum."""


class Completion(Enum):
    """What a failed attempt may have done."""

    NO = "not done"
    PERHAPS = "perhaps done"
    POINTLESS = "asking again cannot help"


class AttemptFailed(Exception):
    """One attempt's failure on its way to the retry loop; `error` is what the caller will see.

    Its text is ours alone: the retry loop logs it, and HubSpot's may quote somebody's data.
    """

    def __init__(self, completion: Completion, error: HubSpotError, *, wait_s: float) -> None:
        super().__init__(f"{completion.value}, status {error.status}")
        self.completion = completion
        self.error = error
        self.wait_s = wait_s


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """`random` returns numbers from 0 to 1."""

    max_attempts: int
    random: Callable[[], float]

    def next_wait_s(self, failed: AttemptFailed, *, repeatable: bool, attempt: int) -> float | None:
        """Return how long to wait before attempt number `attempt` + 1, or None not to make it.

        Doubles with each attempt from the failure's shortest wait; `Retry-After` counts as given.
        """
        again = failed.completion is Completion.NO or (
            failed.completion is Completion.PERHAPS and repeatable
        )
        if not again or attempt >= self.max_attempts:
            return None
        wait = backoff(attempt, first_s=failed.wait_s, max_s=MAX_WAIT_S)
        min_wait_s = max(wait.total_seconds(), failed.error.retry_after_s or 0.0)
        return min_wait_s * (1 + MAX_JITTER * self.random())

    def attempts(self, *, repeatable: bool, deadline: Deadline) -> Iterator[stamina.Attempt]:
        """Yield a context manager for each attempt; inside it an AttemptFailed is raised to try
        again, and comes out of the last one."""
        attempt = 0

        def wait_within_deadline(error: Exception) -> float | bool:
            nonlocal attempt
            attempt += 1
            if not isinstance(error, AttemptFailed):
                return False
            wait_s = self.next_wait_s(error, repeatable=repeatable, attempt=attempt)
            return False if wait_s is None or wait_s >= deadline.remaining_s() else wait_s

        return iter(
            stamina.retry_context(on=wait_within_deadline, attempts=self.max_attempts, timeout=None)
        )


def parse_retry_after_s(header: str) -> float | None:
    """Return a `Retry-After` in seconds, None where it has none that can be believed. HubSpot sends
    a number; a date is not read."""
    seconds = float(header) if _SECONDS.fullmatch(header.strip()) else None
    return None if seconds is None or seconds > MAX_RETRY_AFTER_S else seconds


def parse_count(header: str) -> int | None:
    """Return the number that a header has, None where it has none that can be believed."""
    return int(header) if _COUNT.fullmatch(header) else None
