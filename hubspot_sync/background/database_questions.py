"""Questions that readers put to our database, and can do without an answer to.

A reader is never failed for one. Where the database does not answer, it is left alone for
`UNSURE_S`: each of many readers would wait for it in vain.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import Error as DatabaseFailure
from django.db import connection

from hubspot_sync.background.wait_limits import waiting_at_most

logger = logging.getLogger(__name__)

UNSURE_S: Final = 5.0
"""How long the database is left alone, and what was made without its answer may be kept."""

MAX_ASK_S: Final = 2.0
"""What a reader does without is not worth the pool's own patience."""

KEEP_S: Final = 5.0
"""How long a thread keeps a connection of its own that no pool waits for. Django makes one of
SQLite's in a millisecond, and the question takes a tenth of that."""

V = TypeVar("V")


class DatabaseSilent(Exception):
    """The database did not answer, or is left alone because it did not a moment ago."""


class _Kept(threading.local):
    """The connection that this thread keeps for its next question."""

    connection: Any = None
    until_s = 0.0


_kept = _Kept()


class DatabaseQuestions:
    """Asks the database, and remembers that it did not answer. `clock` counts seconds and never
    goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ask_again_at_s = clock()

    def ask(self, question: Callable[[], V]) -> V:
        """Return the answer; raise DatabaseSilent where there is none."""
        if self._clock() < self._ask_again_at_s:
            raise DatabaseSilent
        self._close_if_kept_for_long()
        # A thread of a pool has no end of a request at which it would give its connection back.
        is_own = connection.connection in (None, _kept.connection)
        answered = False
        try:
            with waiting_at_most(MAX_ASK_S):
                answer = question()
            answered = True
        except DatabaseFailure as error:
            self._ask_again_at_s = self._clock() + UNSURE_S
            logger.warning("The database did not answer a reader: %s", type(error).__name__)
            raise DatabaseSilent from error
        finally:
            may_close = is_own and not connection.in_atomic_block
            if may_close and not (answered and self._may_keep_connection()):
                connection.close()
        return answer

    def _close_if_kept_for_long(self) -> None:
        """Of a file that was replaced while this thread had nothing to ask, a connection goes on
        telling what was."""
        is_kept = connection.connection is not None and connection.connection is _kept.connection
        if is_kept and self._clock() >= _kept.until_s and not connection.in_atomic_block:
            connection.close()

    def _may_keep_connection(self) -> bool:
        """Whether this thread may keep its connection: one of a pool never."""
        if connection.vendor != "sqlite":
            return False
        if connection.connection is not _kept.connection:
            _kept.connection, _kept.until_s = connection.connection, self._clock() + KEEP_S
        return True
