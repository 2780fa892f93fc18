"""What the backend failed to do: counted, logged once a while, and a reason to leave it alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cache_layer.counters import Count, Counters
from cache_layer.errors import CacheError

logger = logging.getLogger(__name__)

WARN_EVERY_S = 60.0


class BackendFaults:
    """One backend's faults, as this process met them. `clock` counts seconds and never goes back;
    `retry_s` is for how long the backend is left alone after each."""

    def __init__(self, counters: Counters, retry_s: float, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._retry_s = retry_s
        self._clock = clock
        self._retry_at_s = clock()
        self._warn_at_s = clock()

    @property
    def pausing(self) -> bool:
        """Whether the backend failed a moment ago."""
        return self._clock() < self._retry_at_s

    def record(self, step: str, error: CacheError) -> None:
        """Count a failure of this step, and let the backend rest."""
        now_s = self._clock()
        self._retry_at_s = now_s + self._retry_s
        self._counters.add(Count.ERRORS, detail=step)
        if now_s >= self._warn_at_s:
            self._warn_at_s = now_s + WARN_EVERY_S
            logger.warning("The cache failed to %s and is bypassed: %s", step, error)
