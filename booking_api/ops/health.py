"""Whether what this API needs is there: its database, the shared cache, HubSpot.

Anybody may ask, as often as they like, and it costs next to nothing: database and cache are asked
once a second at most, by one thread for all who want to know, and HubSpot is not asked at all, but
judged by the calls that are made anyway. What is silent holds up nobody for long: who asks while it
is known to be silent is told so at once. Each process has its own verdicts.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Final

import structlog
from django.conf import settings
from django.core.cache import caches
from django.db import Error as DatabaseFailure
from django.db import connection, connections

from booking_api import composition
from booking_api.composition import Services
from hubspot_sync.background.wait_limits import waiting_at_most
from hubspot_sync.reading.availability import State
from hubspot_sync.wire.deadlines import Monotonic

FRESH_S: Final = 1.0
MAX_WAIT_S: Final = 3.0
"""What takes longer to answer is silent."""
MAX_WAIT_IN_DOUBT_S: Final = 0.2
"""The same for what was silent before: long enough to see that it is back."""
MAX_WAIT_FOR_HUBSPOT_S: Final = 3.0
"""Only right after the start, while nothing is known."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartHealth:
    """One part's state, and how old that knowledge is; None where there is none."""

    state: State
    checked_s_ago: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """The state of each part."""

    database: PartHealth
    cache: PartHealth
    hubspot: PartHealth

    def parts(self) -> Iterator[tuple[str, PartHealth]]:
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    @property
    def silent(self) -> list[str]:
        """The names of the parts that do not answer."""
        return [name for name, part in self.parts() if part.state is not State.OK]


class CoalescedCheck:
    """One part, asked by one thread at a time however many want to know.

    `ask` returns whether the part answers, and may take as long as it likes.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], bool],
        *,
        max_wait_s: float = MAX_WAIT_S,
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._name = name
        self._max_wait_s = max_wait_s
        self._ask = ask
        self._clock = clock
        self._ended = threading.Condition()
        self._began_at_s: float | None = None
        self._checked_at_s: float | None = None
        self._answers = True

    def look(self) -> PartHealth:
        """Return the part's state, not older than FRESH_S unless it is silent."""
        with self._ended:
            if self._began_at_s is None and not self._is_fresh():
                self._begin()
            self._ended.wait_for(lambda: self._began_at_s is None, timeout=self._left_s())
            if self._began_at_s is not None:
                self._note(answers=False)
            checked_at_s, answers = self._checked_at_s, self._answers
        return PartHealth(
            state=State.OK if answers else State.FAILED,
            checked_s_ago=0.0 if checked_at_s is None else self._clock() - checked_at_s,
        )

    def _is_fresh(self) -> bool:
        return self._checked_at_s is not None and self._clock() - self._checked_at_s < FRESH_S

    def _begin(self) -> None:
        self._began_at_s = self._clock()
        # Its own: no thread that answers somebody may hang on a silent part.
        threading.Thread(target=self._check, name=f"{self._name}-check", daemon=True).start()

    def _left_s(self) -> float:
        """Return for how much longer the check under way is waited for."""
        if self._began_at_s is None:
            return 0.0
        patience_s = self._max_wait_s if self._answers else MAX_WAIT_IN_DOUBT_S
        return max(0.0, self._began_at_s + patience_s - self._clock())

    def _check(self) -> None:
        answers = False
        try:
            with waiting_at_most(self._max_wait_s):
                answers = self._ask()
        except Exception:
            # A thread nobody waits for to its end: what it cannot do is logged and a failure.
            log.exception("check_failed", part=self._name)
        finally:
            with self._ended:
                self._began_at_s = None
                self._note(answers=answers)
                self._ended.notify_all()
            connections.close_all()

    def _note(self, *, answers: bool) -> None:
        self._answers = answers
        self._checked_at_s = self._clock()


class ReadinessChecks:
    """The checks of this process; as long-lived as its services."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._database = CoalescedCheck("database", probe_database)
        self._cache = CoalescedCheck("cache", probe_cache)

    def look(self) -> Readiness:
        """Return the state of each part."""
        services = composition.services()
        with self._lock:
            if self._services is not services:
                self._services = services
                self._database = CoalescedCheck("database", probe_database)
                self._cache = CoalescedCheck("cache", probe_cache)
            database, cache = self._database, self._cache
        hubspot = services.availability.look(wait_s=MAX_WAIT_FOR_HUBSPOT_S)
        return Readiness(
            database=database.look(),
            cache=cache.look(),
            hubspot=PartHealth(state=hubspot.state, checked_s_ago=hubspot.heard_s_ago),
        )


def probe_database() -> bool:
    """Ask the database something; return whether it answered."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure as error:
        log.warning("database_does_not_answer", error=str(error))
        return False
    return True


def probe_cache() -> bool:
    """Store a value in the shared cache; return whether it was there to be read."""
    key, value = f"ready:{uuid.uuid4().hex}", "there"
    cache = caches["default"]
    try:
        cache.set(key, value, timeout=5)
        return bool(cache.get(key) == value)
    except failures_of_cache() as error:
        log.warning("cache_does_not_answer", error=str(error))
        return False


def failures_of_cache() -> tuple[type[Exception], ...]:
    """Return what a cache raises that does not answer."""
    if not settings.REDIS_URL:
        return (OSError,)
    # Here, so that a process without Redis does not import its client.
    from django_redis.exceptions import ConnectionInterrupted
    from redis.exceptions import RedisError

    return (ConnectionInterrupted, RedisError, OSError)


_checks = ReadinessChecks()
check_readiness = _checks.look
