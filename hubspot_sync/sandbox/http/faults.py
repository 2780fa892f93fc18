"""Faults on order: which calls they meet, and what happens to those.

The first fault that fires wins; each counts the calls that meet its method and path by itself.
`partial` takes the last inputs away before the call is done, and tells them as errors in a 207. A
`delay` is over when its order is dropped, so that a test ends it when it has seen enough. `hold`
cuts the connection at once and keeps the call: it has its effect when the order is dropped. `spoil`
lets the call have its effect and makes an answer of it that is none; the ways are in
`spoiled_answers`, `how` picks one, `last` or `by` says how many rows or how much. A `status` of the
edge comes with the edge's page, a 429 may name its `policy` (DAILY, SECONDLY) and has no
`Retry-After` but the one ordered in `headers`.
Unkindness is a fault nobody ordered: now and then a 429, or a 5xx on a read, never two within a few
calls, so that one retry always helps.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from hubspot_sync.sandbox.config import refuse_unknown
from hubspot_sync.sandbox.http.rate_limits import POLICIES, TEN_SECONDLY, rate_limit_body
from hubspot_sync.sandbox.http.spoiled_answers import EDGE_TITLES, WAYS, edge_reply, spoil
from hubspot_sync.sandbox.messages import Reply, Request, correlation_id

ACTIONS = ("status", "delay", "hold", "cut_before", "cut_after", "partial", "spoil")
TOO_MANY = 429
NO_CONTENT = 204
MULTI_STATUS = 207
FIRST_REFUSAL = 400
UNKIND_SHARE = 0.03
CALM_AFTER = 8
UNKIND_STATUSES = (429, 500, 502, 503, 504)
_READS = ("read", "list", "search")
_MESSAGES = {
    401: ("INVALID_AUTHENTICATION", "Authentication credentials not found."),
    403: ("MISSING_SCOPES", "This app hasn't been granted all required scopes."),
    404: ("OBJECT_NOT_FOUND", "resource not found"),
    409: ("CONFLICT", "The record already exists."),
    423: ("LOCKED", "The record is locked. Wait at least 2 seconds before trying again."),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One order; the fields are those of POST /_sandbox/faults."""

    id: str
    action: str
    method: str | None = None
    path: str | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    probability: float = 1.0
    status: int = 500
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    delay_ms: float = 0.0
    policy: str = TEN_SECONDLY
    how: str = ""
    last: int = 1
    by: int = 1
    met: int = 0
    fired: int = 0

    def meets(self, method: str, path: str) -> bool:
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.search(self.path, path) is not None

    @property
    def reply(self) -> Reply:
        """What is answered instead of the work, for a `status`."""
        if self.body is not None:
            return Reply(self.status, self.body, self.headers or {})
        if self.status in EDGE_TITLES:
            return edge_reply(self.status, self.headers or {})
        return Reply(self.status, fault_body(self.status, self.policy), self.headers or {})

    def spoil(self, reply: Reply) -> Reply:
        """What becomes of the answer, for a `spoil`."""
        return spoil(reply, self.how, self.by if self.how == "changed_total" else self.last)


class Faults:
    """All orders, in the order given."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: dict[str, Fault] = {}
        self._dropped: dict[str, threading.Event] = {}
        self._calm = 0

    def order(self, raw: Mapping[str, Any]) -> str:
        """Take an order; returns its id, raises ValueError for one that cannot be."""
        _refuse_unknown_words(raw)
        refuse_unknown(raw, Fault)
        nth = raw.get("nth", ())
        wanted = {**raw, "nth": (nth,) if isinstance(nth, int) else tuple(nth)}
        if isinstance(path := raw.get("path"), str):
            try:
                re.compile(path)
            except re.error as error:
                message = f"path is not a regular expression: {error}"
                raise ValueError(message) from error
        with self._lock:
            fault_id = str(next(self._ids))
            self._faults[fault_id] = msgspec.convert({**wanted, "id": fault_id}, Fault)
            self._dropped[fault_id] = threading.Event()
        return fault_id

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(each) for each in self._faults.values()]

    def drop(self, fault_id: str | None = None) -> bool:
        """Drop one order or all; returns whether it was there."""
        with self._lock:
            dropped = list(self._faults) if fault_id is None else [fault_id]
            known = [each for each in dropped if self._faults.pop(each, None) is not None]
            for each in known:
                self._dropped.pop(each).set()
            return fault_id is None or len(known) > 0

    def reset(self) -> None:
        """Drop all orders and start chance again."""
        self.drop()
        with self._lock:
            self._random = random.Random(self._seed)
            self._calm = 0

    def meet(self, method: str, path: str) -> Fault | None:
        """The fault this call gets, if any; counts it for every order it meets."""
        with self._lock:
            chosen: Fault | None = None
            for each in [fault for fault in self._faults.values() if fault.meets(method, path)]:
                counted = replace(each, met=each.met + 1)
                if chosen is None and self._fires(counted):
                    counted = replace(counted, fired=counted.fired + 1)
                    chosen = counted
                self._faults[each.id] = counted
            return chosen

    def wait_out(self, fault: Fault) -> None:
        """Return when the fault's delay has passed, or its order is dropped."""
        with self._lock:
            dropped = self._dropped.get(fault.id)
        if dropped is not None:
            dropped.wait(fault.delay_ms / 1000)

    def pick_unkindness(self, operation: str) -> Reply | None:
        """A refusal out of the blue; reads get any, writes a 429 alone, which did nothing."""
        with self._lock:
            self._calm -= 1
            if self._calm > 0 or self._random.random() >= UNKIND_SHARE:
                return None
            self._calm = CALM_AFTER
            read = operation.rpartition(".")[2].removeprefix("batch_") in _READS
            status = self._random.choice(UNKIND_STATUSES) if read else TOO_MANY
        return Reply(status, fault_body(status))

    def _fires(self, fault: Fault) -> bool:
        if fault.times is not None and fault.fired >= fault.times:
            return False
        if fault.nth and fault.met not in fault.nth:
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability


def _refuse_unknown_words(raw: Mapping[str, Any]) -> None:
    words = [("action", ACTIONS), ("policy", POLICIES)]
    if raw.get("action") == "spoil":
        words.append(("how", WAYS))
    for name, known in words:
        if (name != "policy" or name in raw) and raw.get(name) not in known:
            message = f"{name} is one of {', '.join(known)}"
            raise ValueError(message)


def fault_body(status: int, policy: str = TEN_SECONDLY) -> dict[str, Any]:
    """What HubSpot says with a status."""
    if status == TOO_MANY:
        return rate_limit_body(policy)
    category, message = _MESSAGES.get(status, ("INTERNAL_ERROR", "There was a problem."))
    return {
        "status": "error",
        "message": message,
        "correlationId": correlation_id(),
        "category": category,
    }


def drop_last_inputs(request: Request, last: int) -> tuple[Request, Sequence[Mapping[str, Any]]]:
    """The request without its last inputs, and those."""
    inputs = request.inputs
    kept = inputs[: max(0, len(inputs) - last)]
    return replace(request, body={**request.body, "inputs": kept}), inputs[len(kept) :]


def add_failures(request: Request, reply: Reply, failed: Sequence[Mapping[str, Any]]) -> Reply:
    """The answer as a 207 that says these inputs failed; a refusal stays as it is."""
    if reply.status >= FIRST_REFUSAL or not failed:
        return reply
    body = reply.body if reply.status != NO_CONTENT else {"status": "COMPLETE", "results": []}
    errors = [*body.get("errors", ()), *(_render_failure(request, each) for each in failed)]
    return Reply(MULTI_STATUS, {**body, "numErrors": len(errors), "errors": errors}, reply.headers)


def _render_failure(request: Request, each: Mapping[str, Any]) -> dict[str, Any]:
    context: dict[str, list[str]] = {}
    if isinstance(trace_id := each.get("objectWriteTraceId"), str):
        context["objectWriteTraceId"] = [trace_id]
    if "from" in each:
        context["fromObjectId"] = [str(each["from"]["id"])]
    elif "id" in each:
        key = "fromObjectId" if request.operation.startswith("associations.") else "ids"
        context[key] = [str(each["id"])]
    return {
        "status": "error",
        "category": "INTERNAL_ERROR",
        "message": "There was a problem with the request.",
        "context": context,
    }
