"""The way of one counted call: transit, arrival, faults, limits, the endpoint, transit back.

The first part of the latency passes before the call is counted, because HubSpot counts arrivals;
nothing is locked while it passes.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hubspot_sync.sandbox.endpoints import associations, definitions, search
from hubspot_sync.sandbox.endpoints import object_batches as objects
from hubspot_sync.sandbox.endpoints import single_objects as single
from hubspot_sync.sandbox.endpoints.context import Sandbox
from hubspot_sync.sandbox.endpoints.refused_records import check_refused_records
from hubspot_sync.sandbox.http import routes
from hubspot_sync.sandbox.http.call_log import Call, CallLog
from hubspot_sync.sandbox.http.faults import Fault, Faults, add_failures, drop_last_inputs
from hubspot_sync.sandbox.http.rate_limits import RateLimits
from hubspot_sync.sandbox.http.spoiled_answers import FIRST_REFUSAL
from hubspot_sync.sandbox.journal.endpoints import TOKEN, JournalEndpoints
from hubspot_sync.sandbox.messages import Refusal, Reply, Request, invalid

ENDPOINTS: dict[str, Callable[[Sandbox, Request], Reply]] = {
    "objects.batch_read": objects.batch_read,
    "objects.batch_create": objects.batch_create,
    "objects.batch_update": objects.batch_update,
    "objects.batch_upsert": objects.batch_upsert,
    "objects.batch_archive": objects.batch_archive,
    "objects.search": search.search,
    "objects.list": single.list_page,
    "objects.create": single.create,
    "objects.read": single.read,
    "objects.update": single.update,
    "objects.archive": single.archive,
    "objects.merge": single.merge,
    "associations.batch_read": associations.batch_read,
    "associations.batch_create": associations.batch_create,
    "associations.batch_default": associations.batch_default,
    "associations.batch_archive": associations.batch_archive,
    "associations.list": associations.list_targets,
    "associations.default": associations.associate_by_default,
    "labels.list": associations.list_labels,
    "properties.list": definitions.list_properties,
    "properties.create": definitions.create_property,
    "properties.read": definitions.read_property,
    "schemas.list": definitions.list_schemas,
    "schemas.read": definitions.read_schema,
    "token.info": definitions.token_info,
}
UNAUTHENTICATED = Refusal(
    401,
    "INVALID_AUTHENTICATION",
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can "
    "find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
)


@dataclass(frozen=True, slots=True)
class Received:
    """A call as it came off the socket."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes


class Exchange:
    """Answers calls as HubSpot would; one for the whole server, used by all its threads."""

    def __init__(self, sandbox: Sandbox, journal: JournalEndpoints, random_seed: int) -> None:
        self.sandbox = sandbox
        self.journal = journal
        self.limits = RateLimits()
        self.faults = Faults(random_seed)
        self.log = CallLog()
        self._random = random.Random(random_seed)
        self._held: list[tuple[str, Request]] = []
        self._held_lock = threading.Lock()

    def reset(self) -> None:
        with self._held_lock:
            self._held.clear()
        self.limits.reset()
        self.faults.reset()
        self.log.clear()

    def drop_fault(self, fault_id: str | None = None) -> bool:
        """Drop an order, or all, and let the calls that it held have their effect, in the order of
        their arrival; returns whether it was there."""
        known = self.faults.drop(fault_id)
        with self._held_lock:
            landing = [each for each in self._held if fault_id in (None, each[0])]
            self._held = [each for each in self._held if each not in landing]
        for _, request in landing:
            self._call_endpoint(request)
        return known

    def answer(self, received: Received) -> Reply | None:
        """The answer to a call; None means: close the connection without one."""
        n, at, began = self.log.take_number(), self.sandbox.clock.now_s(), time.perf_counter()
        parts = urlsplit(received.target)
        request = _route(received.method, unquote(parts.path), dict(parse_qsl(parts.query)))
        config = self.sandbox.config
        half_ms = config.latency_ms / 2
        _wait((half_ms + self._random.random() * config.jitter_ms) / 1000)
        reply, inputs = self._handle(received, request)
        _wait(half_ms / 1000)
        self.log.add(
            Call(
                n=n,
                at=at,
                method=request.method,
                path=request.path,
                operation=request.operation,
                object_type=request.names.get("type") or request.names.get("from", ""),
                status=0 if reply is None else reply.status,
                inputs=inputs,
                duration_ms=round((time.perf_counter() - began) * 1000, 3),
            )
        )
        return reply

    def _handle(self, received: Received, request: Request) -> tuple[Reply | None, int]:
        """The answer and how many inputs the call had."""
        if not request.operation:
            return routes.not_imitated_reply(request.method, request.path), 0
        if request.operation.startswith("journal."):
            return self._handle_journal(received, request), 0
        if not self._is_authenticated(received):
            return UNAUTHENTICATED.reply, 0
        malformed: Reply | None = None
        inputs = 0
        try:
            request = replace(request, body=_parse_body(received))
            inputs = len(request.inputs) if "/batch/" in request.path else 0
        except Refusal as refusal:
            malformed = refusal.reply  # but it has arrived, and is counted
        fault = self.faults.meet(request.method, request.path)
        if fault is not None and fault.action in {"cut_before", "hold"}:
            if fault.action == "hold":
                with self._held_lock:
                    self._held.append((fault.id, request))
            return None, inputs
        now_s, config = self.sandbox.clock.now_s(), self.sandbox.config
        is_search = request.operation == routes.SEARCH
        refused = self.limits.arrive(now_s, config, search=is_search)
        if refused is None and fault is None and config.unkind:
            refused = self.faults.pick_unkindness(request.operation)
        if refused is not None:
            return refused, inputs
        reply = self._answer_with_fault(request, fault) if malformed is None else malformed
        if fault is not None and fault.action == "cut_after":
            return None, inputs
        limits = self.limits.headers(now_s, config, search=is_search)
        return replace(reply, headers={**limits, **reply.headers}), inputs

    def answer_file(self, method: str, path: str, give: Callable[[], Reply]) -> Reply | None:
        """The answer to a call for a file of the journal; None means: close the connection."""
        fault = self.faults.meet(method, path)
        if fault is None:
            return give()
        if fault.action == "status":
            return fault.reply
        if fault.action not in {"delay", "spoil"}:
            return None
        if fault.action == "delay":
            self.faults.wait_out(fault)
            return give()
        reply = give()
        body = json.loads(reply.raw) if reply.raw and reply.status < FIRST_REFUSAL else None
        return fault.spoil(replace(reply, body=body, raw=None))

    def _handle_journal(self, received: Received, request: Request) -> Reply | None:
        """The answer to a call of the journal, whose tokens and limits are its own."""

        def answer() -> Reply:
            try:
                if request.operation == TOKEN:
                    return self.journal.tokens.give(_parse_form(received))
                asked = replace(request, body=_parse_body(received))
                return self.journal.answer(asked, received.headers.get("Authorization", ""))
            except Refusal as refusal:
                return refusal.reply
            except (AttributeError, TypeError, ValueError) as error:
                return invalid(f"Invalid input JSON: {error}").reply

        fault = self.faults.meet(request.method, request.path)
        if fault is None:
            return answer()
        if fault.action == "status":
            return fault.reply
        if fault.action in {"cut_before", "hold", "partial"}:
            return None
        if fault.action == "delay":
            self.faults.wait_out(fault)
        reply = answer()
        if fault.action == "cut_after":
            return None
        return fault.spoil(reply) if fault.action == "spoil" else reply

    def _is_authenticated(self, received: Received) -> bool:
        return received.headers.get("Authorization") == f"Bearer {self.sandbox.config.token}"

    def _answer_with_fault(self, request: Request, fault: Fault | None) -> Reply:
        if fault is None or fault.action == "cut_after":
            return self._call_endpoint(request)
        if fault.action == "status":
            return fault.reply
        if fault.action == "delay":
            self.faults.wait_out(fault)
            return self._call_endpoint(request)
        if fault.action == "spoil":
            return fault.spoil(self._call_endpoint(request))
        try:
            shorter, failed = drop_last_inputs(request, fault.last)
        except Refusal as refusal:
            return refusal.reply
        return add_failures(request, self._call_endpoint(shorter), failed)

    def _call_endpoint(self, request: Request) -> Reply:
        try:
            check_refused_records(self.sandbox, request)
            return ENDPOINTS[request.operation](self.sandbox, request)
        except Refusal as refusal:
            return refusal.reply
        except (AttributeError, TypeError, ValueError) as error:
            # A number where an object was due, deep in a body, or one of five thousand digits:
            # HubSpot's parser refuses it, too.
            return invalid(f"Invalid input JSON: {error}").reply


def _route(method: str, path: str, query: dict[str, str]) -> Request:
    match = routes.match(method, path)
    if match is None:
        return Request(method=method, path=path, query=query)
    return Request(
        method=method,
        path=path,
        query=query,
        operation=match.operation,
        family=match.family,
        names=match.names,
    )


def _parse_body(received: Received) -> Any:
    """The JSON of a body, None without one; raises Refusal for anything else."""
    if not received.raw:
        return None
    if "json" not in received.headers.get("Content-Type", ""):
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json")
    try:
        return json.loads(received.raw)
    except ValueError as error:
        raise invalid(f"Invalid input JSON: {error}") from error


def _parse_form(received: Received) -> Mapping[str, str]:
    """A form in the body, and nowhere else; raises Refusal for anything else."""
    if "x-www-form-urlencoded" not in received.headers.get("Content-Type", ""):
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be a form")
    if urlsplit(received.target).query:
        raise invalid("Parameters of the query are not taken")
    return dict(parse_qsl(received.raw.decode("utf-8", "replace")))


def _wait(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)
