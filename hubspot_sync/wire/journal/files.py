"""A journal's file: fetched from where its signed address says, and from nowhere else.

The address comes from outside and its query is a credential. So the connection goes to an address
that was checked, by TLS to the name it stands for; nothing of ours goes along, no redirect is
followed, the size is bounded on the wire and decompressed, and what is raised or logged names
neither host nor query. That is why urllib3's pools, which log what they ask for, are not used.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.response import BaseHTTPResponse
from urllib3.util.ssl_match_hostname import CertificateError

from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import FileUnreadable, HubSpotError, RateLimited, Unavailable
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.http_exchange import MIN_TIMEOUT_S, BodyTooLarge, read_whole, trusted_tls
from hubspot_sync.wire.journal.entries import JournalEntry, JournalFile, parse_file
from hubspot_sync.wire.journal.file_pieces import parse_in_pieces
from hubspot_sync.wire.journal.journal_calls import JournalCall, JournalOperation
from hubspot_sync.wire.journal.public_addresses import (
    ForbiddenAddress,
    check_addresses,
)
from hubspot_sync.wire.journal.timed_responses import timed_response_class
from hubspot_sync.wire.json_parser import InvalidJson, parse_json
from hubspot_sync.wire.name_resolution import Names, Resolve, resolve_name
from hubspot_sync.wire.retries import parse_retry_after_s

EXPIRED: Final = "expired"
_OK: Final = 200
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
# An expired signature is 403 or 404 (hubspot-facts); of some kinds of signature S3 says 400.
_EXPIRED_STATUSES: Final = frozenset({400, 403, 404, 410})
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class _Target:
    """An address taken apart; where it leads is shown nowhere."""

    secure: bool
    host: str = field(repr=False)
    port: int = field(repr=False)
    path: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Received:
    status: int
    encoding: str
    retry_after_s: float | None
    content: bytes


class FileFetcher:
    """Fetches files; safe for threads, keeps no connection. `resolve` finds a name's addresses."""

    def __init__(
        self,
        config: JournalConfig,
        tell: Callable[[JournalCall], None],
        *,
        resolve: Resolve = resolve_name,
        tls: ssl.SSLContext | None = None,
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._config = config
        self._tell = tell
        self._names = Names(resolve)
        self._tls = tls
        self._clock = clock

    def fetch(self, entry: JournalEntry, deadline: Deadline) -> JournalFile:
        """Return what is in the file; raises FileUnreadable, RateLimited or Unavailable."""
        target = _take_apart(entry.address.reveal(), allow_http=self._config.allow_private_files)
        if target is None:
            raise FileUnreadable("A file's address is none we fetch from.", reason="forbidden")
        started_s = self._clock()
        received: _Received | None = None
        try:
            received = self._receive(target, deadline)
        finally:
            self._tell(
                JournalCall(
                    operation=JournalOperation.FILE,
                    status=None if received is None else received.status,
                    took_s=self._clock() - started_s,
                )
            )
        return _read_file(entry, received)

    def _receive(self, target: _Target, deadline: Deadline) -> _Received:
        failure: HubSpotError
        try:
            return self._exchange(target, deadline)
        except ForbiddenAddress as forbidden:
            failure = FileUnreadable(str(forbidden), reason="forbidden")
        except BodyTooLarge:
            failure = FileUnreadable(
                f"A file has more than {self._config.max_file_bytes} bytes.", reason="too_large"
            )
        except (Urllib3Error, HTTPException, OSError, ValueError) as error:
            failure = Unavailable(f"A file did not come whole in time ({type(error).__name__}).")
        # Outside the handlers: what they caught may name the address, and would go along.
        raise failure

    def _exchange(self, target: _Target, deadline: Deadline) -> _Received:
        found = self._names.addresses_of(target.host, target.port, self._limit_connecting(deadline))
        addresses = check_addresses(found, allow_private=self._config.allow_private_files)
        connection = self._connect(target, addresses, deadline)
        try:
            read_s = self._config.read_timeout_s
            connection.response_class = timed_response_class(deadline, read_s)
            connection.request(
                "GET",
                target.path,
                headers={"Host": _host_header(target), "Accept-Encoding": "gzip"},
                preload_content=False,
            )
            response: BaseHTTPResponse = connection.getresponse()
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            content = b""
            # Which others could be decoded depends on the packages that happen to be there.
            if response.status == _OK and encoding in _ENCODINGS:
                # The response sets its socket's time-outs itself.
                content = read_whole(
                    response,
                    lambda: None,
                    deadline,
                    read_s,
                    max_bytes=self._config.max_file_bytes,
                )
            return _Received(
                response.status,
                encoding,
                parse_retry_after_s(response.headers.get("Retry-After", "")),
                content,
            )
        finally:
            connection.close()

    def _connect(self, target: _Target, addresses: list[str], deadline: Deadline) -> HTTPConnection:
        """Return a connection to the first of the addresses that takes one."""
        failure: Urllib3Error | OSError | CertificateError = TimeoutError()
        for address in addresses:
            if deadline.passed:
                break
            connection = self._connection_to(address, target, deadline)
            try:
                connection.connect()
            except (Urllib3Error, OSError, CertificateError) as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure

    def _connection_to(self, address: str, target: _Target, deadline: Deadline) -> HTTPConnection:
        timeout_s = self._limit_connecting(deadline)
        if not target.secure:
            return HTTPConnection(address, target.port, timeout=timeout_s)
        name = target.host.removesuffix(".")  # certificates are for names without
        return HTTPSConnection(
            address,
            target.port,
            timeout=timeout_s,
            ssl_context=self._tls if self._tls is not None else trusted_tls(),
            server_hostname=name,
            assert_hostname=name,
        )

    def _limit_connecting(self, deadline: Deadline) -> float:
        """Return for how long one step towards a connection may take, in seconds."""
        return min(self._config.connect_timeout_s, max(deadline.remaining_s(), MIN_TIMEOUT_S))


def _take_apart(address: str, *, allow_http: bool) -> _Target | None:
    """Return the parts of an address, None where it is not one to fetch a file from."""
    if not address.isascii() or not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    schemes = {"https", "http"} if allow_http else {"https"}
    if parts.scheme not in schemes or not host or "@" in parts.netloc or "%" in host:
        return None
    secure = parts.scheme == "https"
    default_port = 443 if secure else 80
    return _Target(secure, host, default_port if port is None else port, _path_of(parts))


def _path_of(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host_header(target: _Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    default_port = 443 if target.secure else 80
    return host if target.port == default_port else f"{host}:{target.port}"


def _read_file(entry: JournalEntry, received: _Received) -> JournalFile:
    """Return the file in what came, or raise what that means."""
    status = received.status
    if status in _EXPIRED_STATUSES:
        raise FileUnreadable("A file's address has expired.", reason=EXPIRED, status=status)
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        error = RateLimited if status == _TOO_MANY else Unavailable
        raise error(
            f"A file's server answered {status}.",
            status=status,
            retry_after_s=received.retry_after_s,
        )
    if status != _OK:
        raise FileUnreadable(f"A file's server answered {status}.", reason="status", status=status)
    if received.encoding not in _ENCODINGS:
        raise FileUnreadable("A file is compressed in a way we did not ask for.", reason="encoding")
    try:
        body, is_json = parse_json(received.content), True
    except InvalidJson:
        body, is_json = None, False
    if not is_json:
        body = parse_in_pieces(received.content)
        if body is None:
            raise FileUnreadable("A file is no JSON.", reason="not_json")
    file = parse_file(entry, body)
    if file is None:
        raise FileUnreadable("A file has no list of events.", reason="shape")
    return file
