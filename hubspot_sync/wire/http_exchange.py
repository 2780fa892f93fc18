"""What every exchange over HTTP keeps to: a pool that follows nothing, and a body read in time.

What sends comes from here, with the retries of `requests` off, and with no proxy, password file or
cookie of the machine's: what is sent goes where the settings say.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Protocol

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, default_headers
from typing_extensions import override
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError
from urllib3.exceptions import TimeoutError as TimeoutException
from urllib3.util import create_urllib3_context

from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.name_resolution import POOLS_BY_SCHEME

CHUNK_BYTES: Final = 65_536
MIN_TIMEOUT_S: Final = 0.001
MAX_PREPARED: Final = 128
"""More than there are operations and pairs of objects; what has a record's id in it comes and
goes."""

Sender = BaseAdapter
"""What puts a call on the wire, as Requests knows it."""


class BodyTooLarge(Exception):
    """The body has more bytes than the reader takes."""


class Body(Protocol):
    """An answer's body as urllib3 reads it, decompressed piece by piece."""

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes: ...

    def tell(self) -> int: ...


def build_session(pool_size: int, sender: Sender | None) -> requests.Session:
    """Return a session of so many connections; `sender` takes the pool's place."""
    session = requests.Session()
    sender = sender or _build_pool(_PromptAdapter, pool_size)
    session.mount("http://", sender)
    session.mount("https://", sender)
    # No .netrc, no proxies from the environment: the token goes where the settings say.
    session.trust_env = False
    # Cloudflare's cookies are of no use to us, and the jar is no place to meet for threads.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["Accept"] = "application/json"
    return session


class DirectSender:
    """Sends to few addresses of one server, many times, with `headers` of its own, by a pool of so
    many connections; `sender` takes the pool's place.

    A session of `requests` would make the same of address and headers anew for each call, merge
    its settings with the machine's, and keep cookies: a fifth of what a cold list costs. Here each
    address is made ready once; nothing is followed and nothing kept.
    """

    def __init__(
        self, base_url: str, pool_size: int, headers: Mapping[str, str], sender: Sender | None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._sender = sender or _build_pool(_DirectAdapter, pool_size)
        self._headers = {**default_headers(), "Accept": "application/json", **headers}
        self._prepared = lru_cache(maxsize=MAX_PREPARED)(self._prepare)

    def send(
        self, method: str, target: str, content: bytes | None, *, timeout_s: tuple[float, float]
    ) -> requests.Response:
        """Return the answer to a call of `target`, path and query; its body is still to be read,
        and the caller closes it. The time-outs are those of connecting and of each reading. Raises
        requests.RequestException."""
        request = self._prepared(method, target).copy()
        if content is not None:
            request.body = content
            request.headers["Content-Length"] = str(len(content))
        return self._sender.send(
            request, stream=True, timeout=timeout_s, verify=True, cert=None, proxies={}
        )

    def close(self) -> None:
        """Close the idle connections; those in use close when their calls end."""
        self._sender.close()

    def _prepare(self, method: str, target: str) -> requests.PreparedRequest:
        url = self._base_url + target
        return requests.Request(method, url, headers=self._headers).prepare()


class _PromptAdapter(HTTPAdapter):
    """Sends as its base does; its time-outs hold for the look-up of a name, too."""

    @override
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS_BY_SCHEME


class _DirectAdapter(_PromptAdapter):
    """Sends to one server alone. Its base would find the connections by address and TLS anew for
    each call, and make of an answer what a session and its users may ask of it."""

    _found: ConnectionPool | None = None

    @override
    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> ConnectionPool:
        found = self._found
        if found is None:
            self._found = found = super().get_connection_with_tls_context(*arguments, **options)
        return found

    @override
    def close(self) -> None:
        self._found = None
        super().close()

    @override
    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return status, headers and the body to be read."""
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        response.request = req
        return response


def _build_pool(adapter: type[_PromptAdapter], size: int) -> Sender:
    return adapter(pool_connections=1, pool_maxsize=size, max_retries=0, pool_block=True)


@cache
def trusted_tls() -> ssl.SSLContext:
    """Return the TLS of connections made by hand: it believes whom the sessions believe."""
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def read_whole(
    body: Body,
    find_socket: Callable[[], socket.socket | None],
    deadline: Deadline,
    read_timeout_s: float,
    *,
    max_bytes: int | None = None,
) -> bytes:
    """Return the body, read piece by piece: a time-out of `requests` is per piece, and a server
    that drips would never run into it.

    `find_socket` is asked before each piece: with the last one the connection is its pool's again.
    Raises TimeoutError at the deadline, and BodyTooLarge for more than `max_bytes`, on the wire or
    decompressed.
    """
    content = bytearray()
    while True:
        left_s = deadline.remaining_s()
        if left_s <= 0:
            raise TimeoutError("The answer was still coming at the deadline.")
        if (connected := find_socket()) is not None:
            connected.settimeout(min(read_timeout_s, left_s))
        piece = body.read1(CHUNK_BYTES, decode_content=True)
        if not piece:
            return bytes(content)
        content += piece
        if max_bytes is not None and max(len(content), body.tell()) > max_bytes:
            raise BodyTooLarge


def socket_of(raw: object) -> socket.socket | None:
    """Return the socket of an answer that is still being read; None where it has none."""
    connected = getattr(getattr(raw, "connection", None), "sock", None)
    return connected if isinstance(connected, socket.socket) else None


def never_connected(error: requests.RequestException) -> bool:
    """Whether the connection was never made, so that nothing can have been sent."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError)


def describe_failure(error: BaseException) -> str:
    """Return why an exchange came to nothing, in the system's own words: never an address, a value
    or a text of the other side's."""
    for found in _find_causes(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted, {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return "no TLS connection came about"
        if isinstance(found, socket.gaierror):
            return "its name has no address"
        if isinstance(found, OSError) and found.errno is not None:
            return os.strerror(found.errno).lower()
        if isinstance(found, NewConnectionError):  # which is a time-out to urllib3
            return "no connection was made"
        if isinstance(found, requests.Timeout | TimeoutError | TimeoutException):
            return "timed out"
    return type(error).__name__


def _find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error of a library was made of, the innermost first. Each library keeps that in
    another place."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            waiting += [getattr(found, "reason", None), *found.args, found.__cause__]
    yield from reversed(seen)
