"""Connections of PostgreSQL's pool that do not fail whoever takes them.

A server that was restarted, a pooler or a firewall closes connections while they lie in the pool.
With `CONN_HEALTH_CHECKS` the pool tries each connection before it gives it out: one round trip.
One that is dead is rarely alone, and the pool, finding the others one by one, waits longer after
each; so all are tried at once.
"""

from __future__ import annotations

from typing import Any, Final

from psycopg import Connection, OperationalError
from psycopg.rows import TupleRow
from typing_extensions import override


class PooledConnection(Connection[TupleRow]):
    """A connection that, found dead by the pool's check, has the pool look at all it has.

    The pool's check is the one caller of `execute`: Django's statements go through cursors. While
    the pool looks at its own, they are in nobody's hands and have no pool.
    """

    @override
    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except OperationalError:
            pool = getattr(self, "_pool", None)
            if self.closed and pool is not None:
                pool.check()
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
    # After it whoever comes next begins a new attempt; the pool's own would rest for minutes.
    "reconnect_timeout": 5,
    "connection_class": PooledConnection,
}
"""psycopg_pool's, in seconds; the largest size is a setting."""
