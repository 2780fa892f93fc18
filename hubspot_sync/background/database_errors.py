"""Whether an error of our own database is the database's, or that of what was to be stored.

Only a database that is *away* (no connection, shutting down, too many clients, locked, out of
space) is a reason to stop and try everything again later. Whatever else it says is about one row:
the others go on. Told by PostgreSQL's SQLSTATE or SQLite's result code, as the driver's exception
carries them; Django's own exception classes are too coarse (psycopg calls a row that exceeds a
limit of PostgreSQL an OperationalError too).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from django.db import InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

# PostgreSQL, Appendix A "Error Codes": classes first, then codes of classes that say other things
# too.
AWAY_CLASSES: Final = frozenset(
    {
        "08",  # connection
        "28",  # logging in
        "40",  # rolled back for another's sake: a deadlock, a serialization failure
        "53",  # insufficient resources: too many clients, out of memory, disk full
        "57",  # operator intervention: shutdown, starting up, idle for too long, cancelled
        "58",  # system error outside PostgreSQL: its disk
    }
)
AWAY_CODES: Final = frozenset(
    {
        "25P02",  # an earlier statement failed: the transaction's word, not the row's
        "25006",  # read-only: a standby that is not the primary yet
        "25P03",  # idle in a transaction for too long
        "3D000",  # there is no such database
        "55P03",  # a lock was not to be had
    }
)
AWAY_IN_SQLITE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
PRIMARY_CODE: Final = 0xFF
"""SQLite's extended result codes have the primary one in their lowest byte."""


def is_database_away(error: BaseException) -> bool:
    """Return whether this error, Django's or a driver's, says that our database cannot be worked
    with now, whatever is asked of it. False for what is no database's error."""
    if isinstance(error, TransactionManagementError):
        return True  # the connection's state, whatever was asked of it
    told = error.__cause__ if error.__cause__ is not None else error
    sqlite_code = getattr(told, "sqlite_errorcode", None)
    if isinstance(sqlite_code, int):
        return sqlite_code & PRIMARY_CODE in AWAY_IN_SQLITE
    sqlstate = getattr(told, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate[:2] in AWAY_CLASSES or sqlstate in AWAY_CODES
    # Without a code the server never spoke: no connection, no place in the pool, a lost one.
    return isinstance(error, OperationalError | InterfaceError)
