"""The parts of the budget that calls are counted in: all of it, and the shares.

Who may use which is `rate_budget.py`'s; what a limit counts, `rate_windows.py`'s and
`shared_windows.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_windows import (
    Amounts,
    ArrivalWindow,
    Day,
    RateLimit,
    UnderWay,
    WindowStorage,
    cut,
    spread,
)

if TYPE_CHECKING:
    from hubspot_sync.wire.limits.shared_redis import SharedRedis
    from hubspot_sync.wire.limits.shared_windows import SharedArrivals

REDIS_TIMEOUT_S: Final = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The limits of a part of the budget: all of it, or a share. For all of it the transport bounds
    what is under way, by its connections."""

    under_way: tuple[UnderWay, ...]
    window: ArrivalWindow
    search_windows: tuple[ArrivalWindow, ...]
    shared_window: tuple[SharedArrivals, ...]
    shared_search_windows: tuple[SharedArrivals, ...]
    day: Day


def join_limits(parts: Sequence[Part], *, search: bool) -> tuple[RateLimit, ...]:
    """Return the limits of all these parts in the order they are taken from: what can be put back,
    then what another process may have emptied meanwhile, then the days, which keep what was
    counted; a share's before all of it."""
    local: list[RateLimit] = []
    shared: list[SharedArrivals] = []
    for part in parts:
        local += (*part.under_way, part.window)
        shared += part.shared_window
        if search:
            local += part.search_windows
            shared += part.shared_search_windows
    days = [part.day for part in reversed(parts)]
    if not shared:
        return (*local, *days)
    from hubspot_sync.wire.limits.shared_windows import JointWindows

    return (*local, JointWindows(tuple(shared)), *days)


class PartBuilder:
    """Makes parts of one configuration's budget."""

    def __init__(
        self, config: HubSpotConfig, clock: Monotonic, day: PortalDay, redis_url: str | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._day_storage = WindowStorage(clock, day.remaining_s)
        self._shared: SharedRedis | None = None
        if redis_url is not None:
            self._shared = _open_shared_redis(redis_url, config, clock)

    def build_whole(self) -> Part:
        """Return all of the budget, of which HubSpot says how many calls are left."""
        return replace(self._build("all", 1.0, is_part=False), under_way=())

    def build_share(self, name: str, share: float) -> Part:
        """Return a part that all processes have together; it may be as large as the whole."""
        return self._build(name, share, is_part=True)

    def build_background(self) -> Part:
        """Return the background's part: of this process alone, and bounded in what is under way by
        its threads."""
        return replace(
            self.build_share("background", self._config.background_share),
            under_way=(),
            shared_window=(),
            shared_search_windows=(),
        )

    def _build(self, name: str, share: float, *, is_part: bool) -> Part:
        config, clock = self._config, self._clock
        requests = cut(config.requests_per_window, share)
        searches = spread(config.searches_per_second, share)
        return Part(
            under_way=(UnderWay(cut(config.pool_size, share)),),
            window=ArrivalWindow(name, requests, config.window_s, clock),
            search_windows=tuple(
                ArrivalWindow(f"{name}-search", amount, window_s, clock)
                for amount, window_s in searches
            ),
            shared_window=self._share_arrivals(
                name, ((requests, float(math.ceil(config.window_s))),), is_part=is_part
            ),
            shared_search_windows=self._share_arrivals(f"{name}-search", searches),
            day=Day(f"{name}-day", cut(config.daily_limit, share), self._day_storage, clock),
        )

    def _share_arrivals(
        self, name: str, amounts: Amounts, *, is_part: bool = False
    ) -> tuple[SharedArrivals, ...]:
        if self._shared is None:
            return ()
        from hubspot_sync.wire.limits.shared_windows import SharedArrivals

        under_way_s = self._config.connect_timeout_s + self._config.read_timeout_s
        return tuple(
            SharedArrivals(
                *(name, amount, window_s, self._shared), under_way_s=under_way_s, is_part=is_part
            )
            for amount, window_s in amounts
        )


def _open_shared_redis(redis_url: str, config: HubSpotConfig, clock: Monotonic) -> SharedRedis:
    # Here, so that a process without Redis does not import its client.
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from hubspot_sync.wire.limits.shared_redis import SharedRedis

    # One attempt, and a short one: the budget waits for nobody while it asks.
    pool = ConnectionPool.from_url(
        redis_url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    redis = Redis(connection_pool=pool)
    return SharedRedis(redis, clock, name=config.budget_name, window_s=config.window_s)
