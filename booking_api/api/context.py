"""What belongs to one request: its id, its deadline and what it cost.

The middleware is the outermost, so that every response, whoever made it, carries `X-Request-ID`,
`Server-Timing` and, under `/api/`, `Cache-Control`: `no-store`, unless its view allows more. It
writes the request's one log line, which has no query string, because that is where e-mails are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from booking_api.ops import lifecycle, redaction
from booking_api.ops.history.process import history, start_history
from booking_api.ops.logs.request_line import ServedRequest, count_items
from booking_api.ops.logs.request_log import RequestLog
from booking_api.ops.metrics import metrics, start_observing
from booking_api.ops.metrics.requests import OTHER
from booking_api.ops.request_ids import choose_request_id
from booking_api.rules.students import StudentPair
from cache_layer import CacheStatus
from hubspot_sync.background.wait_limits import WaitingUntil
from hubspot_sync.reading.provenance import Provenance
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

MAX_QUERIES_KEPT = 1_024
# In characters. Ordinary ones have about a hundred.
MAX_QUERY_KEPT = 400
BAD_REQUEST = 400
UNAUTHORIZED = 401
META_KEY = "booking_api.request_context"
WEBHOOKS_PREFIX = "/api/webhooks/"
# HubSpot waits for five seconds, and some of them pass before a request is all here.
WEBHOOK_DEADLINE_S = 4.0
# What is left of a request's time once nothing more is waited for.
ANSWER_MARGIN_S = 0.05
# When the whole request had come, on the monotonic clock; the server says so, where it is ours.
ARRIVED_KEY = "booking_api.arrived_s"

request_log = RequestLog(__name__)


def count_nothing() -> None:
    """What is counted of most answers besides the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reuse:
    """What an answer rests on besides the entries it was made of: it is the same `until` an
    instant, None for ever, and for the student of a `pair`, None for anybody. Whoever reads it is
    counted as their address and as this `reader`, and otherwise as `count` does."""

    until: datetime | None = None
    pair: StudentPair | None = None
    reader: str = ""
    count: Callable[[], None] = count_nothing


@dataclass(kw_only=True, slots=True)
class RequestContext:
    """One request's own; `started_s` is when it had come, on the monotonic clock.

    `built_from` is the account of what its answer was read from; `is_authenticated` is set once
    the caller has proved to be a student or a member of staff, `is_for_desk` where they may have a
    booking made, changed or cancelled and ask for that. While `hides_cost`, the response does not
    say what it cost: that would tell whoever guesses what the cache holds. `body` is
    what its parser has read. `items` is the number of records the answer is about, None where the
    answer itself shows it. `failure_code` is what an answer in the envelope called its failure, if
    it is one. `again` is the kept answer that was given again, if one was; `served` is
    what is recorded of the request once it is answered.
    """

    request_id: str
    deadline: Deadline
    started_s: float = field(default_factory=time.monotonic)
    is_authenticated: bool = False
    is_for_desk: bool = False
    hides_cost: bool = False
    meter: CallMeter = field(default_factory=CallMeter)
    built_from: Provenance | None = None
    body: Any = None
    items: int | None = None
    failure_code: str = ""
    reuse: Reuse | None = None
    again: object | None = None
    served: ServedRequest | None = None

    def call_context(self, *, anonymous: bool = False) -> CallContext:
        """Return the context for calls to HubSpot made on this request's behalf, as who its caller
        is known to be by now; `anonymous` where nobody has to say who they are."""
        if self.is_authenticated:
            priority = Priority.DESK if self.is_for_desk else Priority.PEOPLE
        elif self.is_for_desk:
            priority = Priority.UNPROVEN_WRITER
        else:
            priority = Priority.ANONYMOUS if anonymous else Priority.UNPROVEN
        return CallContext(deadline=self.deadline, priority=priority, meters=(self.meter,))

    @property
    def cache_outcome(self) -> str:
        """What the cache did for this request."""
        if self.built_from is None or len(self.built_from.cache_statuses) == 0:
            return CacheStatus.BYPASS if settings.CACHE.enabled else CacheStatus.OFF
        return self.built_from.cache_status

    def server_timing(self) -> str:
        """Return the value of `Server-Timing`; durations are in milliseconds."""
        duration_ms = self.meter.took_s * 1000
        return (
            f'hubspot;desc="{self.meter.calls} calls";dur={duration_ms:.1f}, '
            f'cache;desc="{self.cache_outcome}"'
        )


def context_of(request: HttpRequest | Request) -> RequestContext:
    """Return the context the middleware made for `request`, the DRF request's or Django's own."""
    context: RequestContext = request.META[META_KEY]
    return context


def patience_s(path: str) -> float:
    """Return how long whoever asks at this address waits for an answer, in seconds."""
    deadline_s: float = settings.HUBSPOT.request_deadline_s
    return min(WEBHOOK_DEADLINE_S, deadline_s) if path.startswith(WEBHOOKS_PREFIX) else deadline_s


def is_api_path(request: HttpRequest) -> bool:
    return is_api_address(request.path)


def is_api_address(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def route_of(request: HttpRequest) -> str:
    """Return the address as the URL table has it; for those that it does not have, one word."""
    return OTHER if request.resolver_match is None else request.resolver_match.route


def find_said(request: HttpRequest, context: RequestContext) -> Iterator[Any]:
    """Yield what the request says of a person: in its query, form and JSON body, as far as they
    have been read."""
    yield from find_said_outside_forms(request.META, context)
    if vars(request).get("_post"):
        yield dict(request.POST)


def find_said_outside_forms(meta: Mapping[str, Any], context: RequestContext) -> Iterator[Any]:
    """Yield what a request says of a person in its query and its JSON body."""
    query = meta.get("QUERY_STRING", "")
    yield recall_said(query) if len(query) <= MAX_QUERY_KEPT else find_said_in_query(query)
    if context.body is not None:
        yield context.body


def find_said_in_query(query: str) -> tuple[str, ...]:
    """Return what a query says of a person."""
    return tuple(redaction.find_texts([{name: value} for name, value in parse_qsl(query)]))


# The same callers send the same again and again.
recall_said = lru_cache(maxsize=MAX_QUERIES_KEPT)(find_said_in_query)


def find_action(request: HttpRequest) -> str:
    """Return what the view calls what it did: `list`, `create`; the method where it has no word."""
    method = (request.method or "").lower()
    view = None if request.resolver_match is None else request.resolver_match.func
    actions: dict[str, str] = getattr(view, "actions", None) or {}
    return actions.get(method, method)


def count_items_of(response: HttpResponseBase, context: RequestContext) -> int:
    """Return how many records an answer is about; an error is about none."""
    if response.status_code >= BAD_REQUEST:
        return 0
    return count_items(getattr(response, "data", None)) if context.items is None else context.items


def release_rendering(response: HttpResponseBase) -> None:
    """Let go of what an answer was rendered with: DRF puts the answer itself there, and both would
    stay until the collector comes by (views: `released_view.py`)."""
    renderer_context: dict[str, Any] = getattr(response, "renderer_context", None) or {}
    renderer_context.clear()


def open_context(meta: dict[str, Any], path: str) -> RequestContext:
    """Make the context of a request to this address, from its environ. A request that waited for a
    thread has less time left, and took longer."""
    started_s: float = meta.get(ARRIVED_KEY) or time.monotonic()
    context = RequestContext(
        request_id=choose_request_id(meta.get("HTTP_X_REQUEST_ID")),
        started_s=started_s,
        deadline=Deadline(at_s=started_s + patience_s(path)),
    )
    meta[META_KEY] = context
    lifecycle.ensure_started()
    return context


class Serving:
    """Inside its block, lines of the log name the request and nothing that it has `said`, and the
    database is waited for as long as there is time."""

    __slots__ = ("_bound", "_masking", "_request_id", "_waiting")

    def __init__(self, context: RequestContext, said: Callable[[], Iterator[Any]]) -> None:
        self._request_id = context.request_id
        self._masking = redaction.Masking(said)
        self._waiting = WaitingUntil(context.deadline.at_s - ANSWER_MARGIN_S)

    def __enter__(self) -> None:
        # Nothing here fails, so that what was entered need not be left again.
        self._bound = structlog.contextvars.bind_contextvars(request_id=self._request_id)
        self._masking.__enter__()
        self._waiting.__enter__()

    def __exit__(self, *_: object) -> None:
        self._waiting.__exit__()
        self._masking.__exit__()
        structlog.contextvars.reset_contextvars(**self._bound)


def record(served: ServedRequest, path: str) -> None:
    """Count a request that has been answered, and write its line."""
    metrics().requests.observe_request(
        method=served.method,
        route=served.route,
        status=served.status,
        took_s=served.took_s,
        patience_s=patience_s(path),
    )
    history().observers.observe_request(route=served.route, status=served.status)
    request_log.write(served)


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        start_observing()
        start_history()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        context = request.META.get(META_KEY) or open_context(request.META, request.path)
        with Serving(context, lambda: find_said(request, context)):
            response = self._get_response(request)
            self._record(request, response, context)
        response["X-Request-ID"] = context.request_id
        if not (context.hides_cost or response.status_code == UNAUTHORIZED):
            response["Server-Timing"] = context.server_timing()
        if is_api_path(request):
            response.headers.setdefault("Cache-Control", "no-store")
        context.body = None
        release_rendering(response)
        return response

    def process_view(self, request: HttpRequest, *_: object) -> None:
        """Name the route, now that it is known, to those who count what it costs."""
        context_of(request).meter.asked_by = route_of(request)

    def _record(
        self, request: HttpRequest, response: HttpResponseBase, context: RequestContext
    ) -> None:
        context.served = ServedRequest(
            request_id=context.request_id,
            method=request.method or "",
            route=route_of(request),
            action=find_action(request),
            status=response.status_code,
            took_s=time.monotonic() - context.started_s,
            hubspot_calls=context.meter.calls,
            cache=context.cache_outcome,
            items=count_items_of(response, context),
            failure_code=context.failure_code,
        )
        record(context.served, request.path)
