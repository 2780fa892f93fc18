"""Questions of one page to the database, within a time of its own.

Where the database does not answer one, the page says that it does not know; where it is away, the
others are not asked at all. Nobody who looks at a page waits for each of twenty.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from django.db import Error as DatabaseFailure

from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.wait_limits import WaitingUntil

MAX_WAIT_S: Final = 3.0
"""For all of them together."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Questions:
    """Those of one page. `unanswered` names the ones that stayed without an answer."""

    def __init__(self, until_s: float | None = None) -> None:
        self._until_s = time.monotonic() + MAX_WAIT_S if until_s is None else until_s
        self._is_away = False
        self.unanswered: list[str] = []

    def ask(self, what: str, question: Callable[[], T]) -> T | None:
        """Return the answer, None where there is none."""
        if not self._is_away and time.monotonic() < self._until_s:
            try:
                with WaitingUntil(self._until_s):
                    return question()
            except DatabaseFailure as error:
                log.warning("not_known_now", what=what, error=type(error).__name__)
                self._is_away = is_database_away(error)
        self.unanswered.append(what)
        return None
