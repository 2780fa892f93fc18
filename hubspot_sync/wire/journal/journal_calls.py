"""One call to the journal's endpoints: token, breaker, exchange, and what the answer means.

The journal has limits of its own and takes nothing of the 190 in 10 s, so no budget is asked; and a
breaker of its own, so that an outage of the journal never refuses anybody's booking. Nothing is
tried again here except once with a new token after a 401, or after a 403 that more scopes may cure:
whoever follows the journal backs off, by `HubSpotError.retry_after_s` where it is given.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

import requests
from urllib3.exceptions import HTTPError as Urllib3Error

from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import HubSpotError, Refused, Unavailable
from hubspot_sync.wire.answer_shapes import NEEDS_JSON, parse_body
from hubspot_sync.wire.circuit_breaker import CircuitBreaker
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.http_exchange import (
    MIN_TIMEOUT_S,
    BodyTooLarge,
    Sender,
    build_session,
    read_whole,
    socket_of,
)
from hubspot_sync.wire.journal.access_tokens import AccessTokens, wants_more_scopes
from hubspot_sync.wire.retries import parse_retry_after_s
from hubspot_sync.wire.storable_text import encode_json
from hubspot_sync.wire.verdicts import (
    UNEXPECTED,
    JsonObject,
    Meaning,
    build_error,
    correlation_id_of,
    judge,
)

logger = logging.getLogger(__name__)

POOL_SIZE: Final = 4
MAX_ANSWER_BYTES: Final = 4_194_304
"""A hundred entries with their addresses are about 200 kB."""
MIN_FAIR_CHANCE_S: Final = 1.0
_UNAUTHORIZED: Final = 401
_CODE: Final = re.compile(r"[A-Z][A-Z_]{0,59}", re.ASCII)


class JournalOperation(StrEnum):
    """Every call made for the journal; the values are the names in logs and metrics."""

    TOKEN = "journal.token"  # noqa: S105 - the name of an operation
    EARLIEST = "journal.earliest"
    LATEST = "journal.latest"
    NEXT = "journal.next"
    BATCH_NEXT = "journal.batch_next"
    BATCH_READ = "journal.batch_read"
    FILE = "journal.file"
    SUBSCRIPTIONS_LIST = "journal.subscriptions_list"
    SUBSCRIPTION_PUT = "journal.subscription_put"
    SUBSCRIPTION_DELETE = "journal.subscription_delete"
    FILTERS_LIST = "journal.filters_list"


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalCall:
    """One call made: what for, its status (None where no answer came), and how long it took."""

    operation: JournalOperation
    status: int | None
    took_s: float


JournalObserver = Callable[[JournalCall], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalRequest:
    """What to ask: `path` is below the base address; a body is JSON, a form is a form."""

    operation: JournalOperation
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: JsonObject | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class JournalAnswer:
    """A 2xx, whose body is a JSON object, or empty."""

    status: int
    body: JsonObject


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: JsonObject | None
    retry_after_s: float | None


class JournalCalls:
    """Makes the calls; shared by all threads of the process."""

    def __init__(
        self,
        config: JournalConfig,
        *,
        circuit_breaker: CircuitBreaker,
        observers: Sequence[JournalObserver] = (),
        clock: Monotonic = time.monotonic,
        sender: Sender | None = None,
    ) -> None:
        self._config = config
        self._circuit_breaker = circuit_breaker
        self._observers = list(observers)
        self._clock = clock
        self._session = build_session(POOL_SIZE, sender)
        # The pool would wait for a connection without an end.
        self._connections = threading.BoundedSemaphore(POOL_SIZE)
        self._tokens = AccessTokens(self._fetch_token, clock, config.portal_id)

    def call(self, request: JournalRequest, deadline: Deadline) -> JournalAnswer:
        """Return the answer; raises RateLimited, Unavailable, NotFound or Refused."""
        token = self._tokens.current(deadline)
        try:
            return self._call_once(request, deadline, {"Authorization": f"Bearer {token.text}"})
        except HubSpotError as error:
            wider = wants_more_scopes(token, error)
            if error.status != _UNAUTHORIZED and not wider:
                raise
        token = self._tokens.renew(token, deadline, wide=wider)
        return self._call_once(request, deadline, {"Authorization": f"Bearer {token.text}"})

    @property
    def names_portal(self) -> bool:
        """Whether HubSpot said of the latest token that it is the configured portal's."""
        return self._tokens.names_portal

    def tell(self, call: JournalCall) -> None:
        """Tell the observers of a call, also of one made by others for the journal."""
        for observer in self._observers:
            observer(call)
        logger.debug("hubspot.journal_call", extra=asdict(call))

    def close(self) -> None:
        self._session.close()

    def _fetch_token(self, scopes: Sequence[str], deadline: Deadline) -> JsonObject:
        config = self._config
        version = "v3" if config.api_version == "legacy" else config.api_version
        request = JournalRequest(
            operation=JournalOperation.TOKEN,
            method="POST",
            path=f"/oauth/{version}/token",
            form={
                "grant_type": "client_credentials",
                "client_id": config.client_id,
                "client_secret": config.client_secret,
                "scope": " ".join(scopes),
            },
        )
        return self._call_once(request, deadline, {}).body

    def _call_once(
        self, request: JournalRequest, deadline: Deadline, headers: Mapping[str, str]
    ) -> JournalAnswer:
        if deadline.passed:
            raise Unavailable("No time is left to ask the change journal.")
        if not self._connections.acquire(timeout=deadline.remaining_s()):
            raise Unavailable("No connection to the change journal came free in time.")
        try:
            reply = self._send(request, deadline, headers)
        finally:
            self._connections.release()
        return _judge_reply(reply, secret=request.form is not None)

    def _send(
        self, request: JournalRequest, deadline: Deadline, headers: Mapping[str, str]
    ) -> _Reply:
        """Send once; report to the breaker, and tell the observers, whatever happens."""
        permit = self._circuit_breaker.issue_permit()
        started_s = self._clock()
        reply: _Reply | None = None
        try:
            reply = self._exchange(request, deadline, headers)
        finally:
            took_s = self._clock() - started_s
            status = None if reply is None else reply.status
            late = deadline.remaining_s() <= 0
            permit.report(status, hurried=late and took_s < MIN_FAIR_CHANCE_S)
            self.tell(JournalCall(operation=request.operation, status=status, took_s=took_s))
        return reply

    def _exchange(
        self, request: JournalRequest, deadline: Deadline, headers: Mapping[str, str]
    ) -> _Reply:
        config = self._config
        left_s = max(deadline.remaining_s(), MIN_TIMEOUT_S)
        read_s = min(config.read_timeout_s, left_s)
        query = f"?{urlencode(request.query)}" if request.query else ""
        content, content_type = _encode(request)
        try:
            with self._session.request(
                request.method,
                config.base_url.rstrip("/") + request.path + query,
                data=content,
                headers={**headers, "Content-Type": content_type},
                timeout=(min(config.connect_timeout_s, left_s), read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                raw = response.raw
                read = read_whole(
                    raw, lambda: socket_of(raw), deadline, read_s, max_bytes=MAX_ANSWER_BYTES
                )
        except (requests.RequestException, Urllib3Error, OSError, BodyTooLarge) as error:
            name = type(error).__name__
        else:
            retry_after_s = parse_retry_after_s(response.headers.get("Retry-After", ""))
            return _Reply(response.status_code, _parse(read, request.operation), retry_after_s)
        # Outside the handler: what it caught may hold the request, and with it token or secret.
        raise Unavailable(f"The change journal gave no whole answer in time ({name}).")


def _parse(content: bytes, operation: JournalOperation) -> JsonObject | None:
    """The body; of filters HubSpot answers with a bare list, here the `results` of an object."""
    if operation is JournalOperation.FILTERS_LIST and content.lstrip().startswith(b"["):
        content = b'{"results":' + content + b"}"
    return parse_body(content)


def _encode(request: JournalRequest) -> tuple[bytes | None, str]:
    """The body's bytes, and what they are."""
    if request.form is not None:
        return urlencode(request.form).encode(), "application/x-www-form-urlencoded"
    return None if request.body is None else encode_json(request.body), "application/json"


def _judge_reply(reply: _Reply, *, secret: bool) -> JournalAnswer:
    """Return the answer if it is one, else raise what it means. Where the request held a `secret`,
    HubSpot's words are not repeated."""
    body: JsonObject = reply.body if reply.body is not None else {}
    verdict = judge(reply.status, body)
    if reply.body is None and verdict.meaning in NEEDS_JSON and reply.status != _UNAUTHORIZED:
        verdict = UNEXPECTED
    if verdict.meaning in {Meaning.OK, Meaning.PARTIAL}:
        return JournalAnswer(reply.status, body)
    if secret and verdict.meaning is Meaning.REFUSED:
        raise _refused_token(reply.status, body)
    raise build_error(verdict, reply.status, body, retry_after_s=reply.retry_after_s)


def _refused_token(status: int, body: JsonObject) -> Refused:
    """A refusal to give a token. Its code stands in `status` (`BAD_CLIENT_ID`), or where all
    HubSpot's errors have theirs."""
    words = (body.get(name) for name in ("category", "status", "error"))
    codes = [word for word in words if isinstance(word, str) and _CODE.fullmatch(word)]
    return Refused(
        f"HubSpot gave no token for the change journal: {status}"
        + (f", {codes[0]}." if codes else "."),
        status=status,
        category=codes[0] if codes else None,
        correlation_id=correlation_id_of(body),
    )
