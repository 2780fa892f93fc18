"""The stations a child process passes: each call to HubSpot, each transaction that matters.

A station has a name and two sides: before it, and after it took effect but before its answer is
seen. A child may be told to be killed or paused at one side of one station. The calls go through a
sender that is watched, the transactions through the child's own connections.
"""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from hubspot_sync.portal.profile import PortalProfile
from tests.faults.watched_sender import WatchedSender

SIDES = ("before", "after")
SIGNALS = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}
WRITE = re.compile(r'(INSERT|UPDATE|DELETE)\D+?"booking_api_(\w+)"')
NOTHING_TO_SEE = re.compile(
    r'SET "expires_at" = [^"]+ WHERE'  # a lease renewed: at the instant of the next call's station
    r'|"wanted_until" <='  # rows nobody waits for any more: none here
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Where a child ends, or stands still: at one side of one station."""

    station: str
    side: str
    how: str = "kill"


class Stations:
    """Counts what is passed; says so to `tell` before it kills or pauses its own process."""

    def __init__(self, stop: Stop | None, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._stop = stop
        self._tell = tell
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self.passed: list[str] = []

    @contextmanager
    def passing(self, what: str) -> Iterator[None]:
        with self._lock:
            self._seen[what] += 1
            name = f"{what} #{self._seen[what]}"
            self.passed.append(name)
        self._reach(name, "before")
        yield
        self._reach(name, "after")

    def _reach(self, name: str, side: str) -> None:
        if self._stop is not None and (name, side) == (self._stop.station, self._stop.side):
            self._tell({"event": "reached", "how": self._stop.how})
            # To this very thread: sent to the process, SIGSTOP would let it run on for a moment.
            signal.pthread_kill(threading.get_ident(), SIGNALS[self._stop.how])

    def watch_calls(self, sender: WatchedSender, profile: PortalProfile) -> None:
        """Make every call of this sender a station."""
        types = profile.object_types
        names = {
            types.contacts: "contacts",
            types.bookings: "bookings",
            types.mock_exams: "exams",
            types.notes: "notes",
        }
        sender.watch(lambda request: self.passing(_call_name(request.path_url, names)))

    def watch_transactions(self) -> None:
        """Make every transaction of this process that writes something of the desk's a station."""

        def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
            # A connection that is opened anew is the same object, and watched already.
            if not any(isinstance(each, _Watched) for each in connection.execute_wrappers):
                connection.execute_wrappers.append(_Watched(self, connection))

        connection_created.connect(watch, weak=False)


class _Watched:
    """One thread's connection: what its transaction has written so far."""

    def __init__(self, stations: Stations, connection: BaseDatabaseWrapper) -> None:
        self._stations = stations
        self._connection = connection
        self._commit = connection.commit
        self._written: list[str] = []
        connection.commit = self._commit_at_station  # type: ignore[method-assign]

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        write = WRITE.match(sql)
        if write is None or NOTHING_TO_SEE.search(sql):
            return execute(sql, params, many, context)
        what = f"{write[1].lower()} {write[2]}"
        if self._connection.in_atomic_block:
            self._written += [what] if what not in self._written else []
            return execute(sql, params, many, context)
        with self._stations.passing(what):
            return execute(sql, params, many, context)

    def _commit_at_station(self) -> None:
        written, self._written = self._written, []
        if len(written) == 0:
            self._commit()
            return
        with self._stations.passing("commit " + ", ".join(written)):
            self._commit()


def _call_name(path: str, names: Mapping[str, str]) -> str:
    """`read contacts`, `read exams>bookings`, `create bookings`, `labels bookings>contacts`; `one
    exams` of a record that is read by its id, whatever that is."""
    parts = path.partition("?")[0].split("/")
    about = ">".join(names[part] for part in parts if part in names)
    return f"{'one' if parts[-1].isdigit() else parts[-1]} {about}"
