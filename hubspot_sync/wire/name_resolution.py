"""Names looked up in time, and connections whose time-out begins before that.

The system's own look-up takes no time-out, and one whose name server is silent goes on for half a
minute. What a call would send after that was nobody's any more: its desk may have lost its lease.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from hubspot_sync.wire.deadlines import Deadline

Place = tuple[str, int]
Resolve = Callable[[str, int], list[str]]
"""Takes as long as it likes; raises OSError and UnicodeError as `resolve_name` does."""


def resolve_name(host: str, port: int) -> list[str]:
    """Return all addresses of a name, each once; raises OSError where it has none or cannot be
    looked up, UnicodeError where it can be no name."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in infos))


class Names:
    """The look-ups under way: one for each name, however many wait for it and give up."""

    def __init__(self, resolve: Resolve = resolve_name) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._under_way: dict[Place, Future[list[str]]] = {}

    def addresses_of(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Return what `resolve` finds; raise its errors, or TimeoutError after so long."""
        place = host, port
        with self._lock:
            found = self._under_way.get(place)
            if found is None:
                found = Future()
                self._start_look_up(place, found)
                self._under_way[place] = found
        return found.result(timeout_s)

    def _start_look_up(self, place: Place, found: Future[list[str]]) -> None:
        look_up = partial(self._look_up, place, found)
        try:
            threading.Thread(target=look_up, name="names", daemon=True).start()
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def _look_up(self, place: Place, found: Future[list[str]]) -> None:
        try:
            addresses = self._resolve(*place)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self._end(place)
            found.set_exception(error)
        else:
            self._end(place)
            found.set_result(addresses)

    def _end(self, place: Place) -> None:
        with self._lock:
            del self._under_way[place]


class NamedConnection(HTTPConnection):
    """Plain HTTP."""

    def __init__(self, names: Names, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._names = names

    @override
    def _new_conn(self) -> socket.socket:
        return _connect(self, self._names)


class NamedTlsConnection(NamedConnection, HTTPSConnection):
    """HTTPS."""


class NamedPool(HTTPConnectionPool):
    """One host's connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ConnectionCls = partial(NamedConnection, Names())  # type: ignore[assignment] # only called


class NamedTlsPool(HTTPSConnectionPool):
    """As `NamedPool`, by HTTPS."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ConnectionCls = partial(NamedTlsConnection, Names())  # type: ignore[assignment] # only called


POOLS_BY_SCHEME: Final = {"http": NamedPool, "https": NamedTlsPool}


def _connect(connection: HTTPConnection, names: Names) -> socket.socket:
    """Return a socket that is connected within the connection's time-out, to the first of its
    addresses that takes it; raise urllib3's errors. Each address gets its share of the time that is
    left: one that is silent must not use up the others'."""
    limit = Deadline.after(float(connection.timeout or 0.0))
    port = connection.port or connection.default_port
    addresses = _find_addresses(connection, names, port, limit)
    failure: Exception = NewConnectionError(connection, "The name has no address.")
    for number, address in enumerate(addresses):
        try:
            return create_connection(
                (address, port),
                limit.remaining_s() / (len(addresses) - number),
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except TimeoutError:
            failure = ConnectTimeoutError(connection, "No connection was made in time.")
        except OSError as error:
            failure = NewConnectionError(connection, f"No connection was made: {error}")
            failure.__cause__ = error
    raise failure


def _find_addresses(
    connection: HTTPConnection, names: Names, port: int, limit: Deadline
) -> list[str]:
    # A dot at its end says that the name is whole, and tried with no domain of ours after it. The
    # certificate's name has none, nor has `host`.
    name = connection._dns_host
    try:
        return names.addresses_of(name, port, limit.remaining_s())
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "The name was not looked up in time.") from error
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    # The machine has no more files or threads, or the text can be no name.
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, f"The name was not looked up: {error}") from error
