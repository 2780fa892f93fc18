"""Connections to PostgreSQL, and a pool of them, that hold nobody up and fail nobody in vain.

No wait lasts longer than the thread may wait (wait_limits.py). A connection on which one did is
closed: what comes on it later would be taken for the answer to something else.

A server that was restarted, a pooler or a firewall closes connections while they lie in the pool.
The pool tries each before it gives it out: one round trip. One that is dead is rarely alone, and
the pool, finding the others one by one, waits longer after each; so all that are as old are thrown
away at once.

The server's own limits are for what a client cannot see to: one that is frozen, or has vanished,
must not keep its locks.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool
from typing_extensions import override

from hubspot_sync.background.wait_limits import longest_wait_s, waiting_at_most

MAX_CHECK_S: Final = 1.5
"""An empty query needs nothing but a server that answers."""
CONNECT_AGAIN_S: Final = 0.2
"""Between two attempts to connect, each of which may end at once: nobody is there yet."""
INTERRUPT_EVERY_S: Final = 0.1
"""psycopg's own: so often a wait looks for Ctrl-C."""

RV = TypeVar("RV")


class LimitedConnection(Connection[TupleRow]):
    """A connection that waits no longer than the thread that uses it may."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.opened_s = time.monotonic()

    @override
    def wait(
        self, gen: PQGen[RV], interval: float = INTERRUPT_EVERY_S, timeout: float | None = None
    ) -> RV:
        longest_s = longest_wait_s()
        if longest_s is None or (timeout is not None and timeout <= longest_s):
            return super().wait(gen, interval, timeout)
        until_s = time.monotonic() + longest_s
        try:
            return super().wait(gen, interval, longest_s)
        except OperationalError as error:
            if error.sqlstate is not None or self.closed or time.monotonic() < until_s:
                raise
            self.pgconn.finish()
            raise ConnectionTimeout(f"no answer within {longest_s:.1f} s") from error


class LimitedPool(ConnectionPool[LimitedConnection]):
    """A pool in which nobody waits for a connection longer than its thread may, and which tries
    each before it gives it out. While there is none to be had, it tries as long as somebody waits.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            check=self.try_connection, reconnect_failed=self.connect_again_for_waiting, **options
        )
        self._drained_s = 0.0

    @override
    def getconn(self, timeout: float | None = None) -> LimitedConnection:
        patience_s, longest_s = self.timeout if timeout is None else timeout, longest_wait_s()
        return super().getconn(patience_s if longest_s is None else min(patience_s, longest_s))

    def connect_again_for_waiting(self, _: ConnectionPool[Any]) -> None:
        """Have another attempt made in a moment if somebody waits. psycopg's own attempts are ever
        further apart, and after the last of them only who comes next begins a new one."""
        if self.get_stats().get("requests_waiting", 0) > 0:
            threading.Event().wait(CONNECT_AGAIN_S)
            self.check()

    def try_connection(self, connection: LimitedConnection) -> None:
        """Raise psycopg's OperationalError where the connection is dead or silent."""
        try:
            with waiting_at_most(MAX_CHECK_S):
                self.check_connection(connection)
        except OperationalError:
            # Not for each of those that were as old: the first has had them all replaced.
            if connection.closed and connection.opened_s > self._drained_s:
                self._drained_s = time.monotonic()
                self.drain()
            raise


CONNECTION_OPTIONS: Final[dict[str, Any]] = {
    "connect_timeout": 3,
    "keepalives_idle": 30,  # seconds
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 3_000,  # milliseconds without an acknowledgement
}
"""libpq's: whoever closes a connection without a word is noticed all the same."""
POOL_OPTIONS: Final[dict[str, Any]] = {
    "min_size": 0,
    "timeout": 5,
    "reconnect_timeout": CONNECT_AGAIN_S,  # see connect_again_for_waiting
    "connection_class": LimitedConnection,
}
"""psycopg_pool's, in seconds; the largest size is a setting."""
SERVER_LIMITS: Final[dict[str, int]] = {
    "idle_in_transaction_session_timeout": 4_000,
    "lock_timeout": 5_000,
    "statement_timeout": 10_000,
    "tcp_user_timeout": 10_000,
    "tcp_keepalives_idle": 30,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
}
"""PostgreSQL's, for each session; milliseconds, those of keep-alives seconds. Whoever is frozen
inside a transaction loses it before anybody has given up waiting for its locks, and before a lease
of the usual length is over."""


def limit_session(given: str) -> str:
    """Return libpq's `options` that set the server's limits; what is `given` there already comes
    after them, and wins."""
    ours = " ".join(f"-c {name}={value}" for name, value in SERVER_LIMITS.items())
    return f"{ours} {given}".rstrip()
