"""HubSpot's rate limits, counted as requests arrive: a rolling window, search apart, the day.

Ordinary answers carry what is left; answers of search carry nothing. A refused request is not
counted. `Retry-After` is sent with every second refusal only, because HubSpot does not always; the
switch `retry_after` makes it always or never. The day begins at midnight in UTC.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from hubspot_sync.sandbox.config import Config
from hubspot_sync.sandbox.messages import Reply, correlation_id

SEARCH_WINDOW_S = 1.0
DAY_S = 86_400
TEN_SECONDLY = "TEN_SECONDLY_ROLLING"
SECONDLY = "SECONDLY"
DAILY = "DAILY"
_MESSAGES = {
    TEN_SECONDLY: "You have reached your ten_secondly_rolling limit.",
    SECONDLY: "You have reached your secondly limit.",
    DAILY: "You have reached your daily limit.",
}


POLICIES = tuple(_MESSAGES)


class RateLimits:
    """The counts of one app; `arrive` is called once for each request, when it arrives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordinary: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._day = 0
        self._today = 0
        self._refused = 0

    def arrive(self, now_s: float, config: Config, *, search: bool) -> Reply | None:
        """Count a request; the 429 it gets instead where a limit is reached."""
        window_s = SEARCH_WINDOW_S if search else config.rate_window_s
        most = config.search_rate if search else config.rate_limit
        arrivals = self._searches if search else self._ordinary
        with self._lock:
            self._forget_past(now_s, config)
            if self._today >= config.daily_limit:
                return self._refuse(DAILY, DAY_S - now_s % DAY_S, config, search)
            if len(arrivals) >= most:
                free_in_s = arrivals[0] + window_s - now_s if arrivals else window_s
                policy = SECONDLY if search else TEN_SECONDLY
                return self._refuse(policy, free_in_s, config, search)
            arrivals.append(now_s)
            self._today += 1
            return None

    def headers(self, now_s: float, config: Config, *, search: bool) -> Mapping[str, str]:
        """What an answer says of the limits; nothing on search."""
        with self._lock:
            self._forget_past(now_s, config)
            return self._headers(config, search)

    def reset(self) -> None:
        with self._lock:
            self._ordinary.clear()
            self._searches.clear()
            self._today = 0

    def _forget_past(self, now_s: float, config: Config) -> None:
        for arrivals, window_s in (
            (self._ordinary, config.rate_window_s),
            (self._searches, SEARCH_WINDOW_S),
        ):
            while arrivals and arrivals[0] <= now_s - window_s:
                arrivals.popleft()
        if int(now_s // DAY_S) != self._day:
            self._day, self._today = int(now_s // DAY_S), 0

    def _headers(self, config: Config, search: bool) -> dict[str, str]:
        if search:
            return {}
        return {
            "X-HubSpot-RateLimit-Max": str(config.rate_limit),
            "X-HubSpot-RateLimit-Remaining": str(max(0, config.rate_limit - len(self._ordinary))),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(config.rate_window_s * 1000)),
            "X-HubSpot-RateLimit-Daily": str(config.daily_limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, config.daily_limit - self._today)),
        }

    def _refuse(self, policy: str, free_in_s: float, config: Config, search: bool) -> Reply:
        self._refused += 1
        headers = self._headers(config, search)
        sometimes = config.retry_after == "sometimes" and self._refused % 2 == 0
        if sometimes or config.retry_after == "always":
            headers["Retry-After"] = str(max(1, math.ceil(free_in_s)))
        return Reply(429, rate_limit_body(policy), headers)


def rate_limit_body(policy: str = TEN_SECONDLY) -> dict[str, Any]:
    """HubSpot's body of a 429."""
    return {
        "status": "error",
        "message": _MESSAGES[policy],
        "errorType": "RATE_LIMIT",
        "correlationId": correlation_id(),
        "policyName": policy,
        "requestId": correlation_id(),
    }
