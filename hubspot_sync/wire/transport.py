"""One call to HubSpot, from a request to its answer or an error of our tree.

In order, for each attempt: the circuit breaker, the rate budget, a connection, the sending, the
call log, the table of answers. It promises that a call ends soon after its deadline, that a call
which may not be repeated is not, and that an error says whether a write may have taken effect.

Threads share one pool of connections, and wait for one in front of it and no longer than they have.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import requests
import structlog
from urllib3.exceptions import HTTPError as Urllib3Error

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import HubSpotError, Unavailable
from hubspot_sync.wire.answer_shapes import accept_all, judge_reply, parse_body
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallLog, CallRecord, Paused
from hubspot_sync.wire.circuit_breaker import CircuitBreaker, Permit
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import ENDPOINTS, Effect, Endpoint, Operation
from hubspot_sync.wire.http_exchange import (
    MIN_TIMEOUT_S,
    DirectSender,
    Sender,
    describe_failure,
    never_connected,
    read_whole,
    socket_of,
)
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_budget import RateBudget, Slot
from hubspot_sync.wire.retries import (
    AttemptFailed,
    Completion,
    RetryPolicy,
    parse_count,
    parse_retry_after_s,
)
from hubspot_sync.wire.storable_text import encode_json
from hubspot_sync.wire.verdicts import (
    JsonObject,
    Meaning,
    Verdict,
    build_error,
    correlation_id_of,
    policy_of,
)

logger = logging.getLogger(__name__)
log = structlog.get_logger(__name__)
RETRY_WAIT_S: Final = 0.1
LONG_WAIT_S: Final = 1.0
"""A wait for the limiter that is logged."""
TOO_MANY: Final = 429
MAX_SLOT_AGE_S: Final = 1.0
"""An older one is not sent with: others may count with its call having arrived long ago."""
MIN_FAIR_CHANCE_S: Final = 1.0
"""A call that got less time than this, and did not end in it, says nothing of HubSpot."""
COMPLETIONS: Final[Mapping[Meaning, Completion]] = {
    Meaning.RETRY_AFTER: Completion.NO,
    Meaning.RETRY: Completion.PERHAPS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to ask: an operation, what it is about, and its body."""

    operation: Operation
    object_type: str = ""
    to_type: str = ""
    tail: str = ""
    """What follows the path: a record's id, and the query."""
    body: JsonObject | None = None
    once: bool = False
    """Never sent again where it may have taken effect: whoever sends it looks before that."""
    accepts: Callable[[JsonObject], bool] = accept_all
    """Whether a body of the operation's shape answers this request; one that does not is no answer,
    and asked for again. For reads."""

    @property
    def about(self) -> str:
        """The object type, or the pair, for the call log."""
        return f"{self.object_type}>{self.to_type}" if self.to_type else self.object_type


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """HubSpot's answer to a call that was not refused: 2xx, a 207 among them."""

    status: int
    body: JsonObject

    @property
    def results(self) -> Sequence[JsonObject]:
        """The objects in `results`; none where there is no such list."""
        listed = self.body.get("results")
        if not isinstance(listed, list):
            return ()
        return [result for result in listed if isinstance(result, dict)]


@dataclass(frozen=True, slots=True)
class _Reply:
    """A whole answer off the wire; `body` is None where it was not a JSON object."""

    status: int
    body: JsonObject | None
    verdict: Verdict
    retry_after_s: float | None
    left: int | None
    day_left: int | None


@dataclass(frozen=True, slots=True)
class _Sending:
    """A request made ready: the same for every attempt."""

    request: Request
    endpoint: Endpoint
    content: bytes | None
    context: CallContext

    @property
    def search(self) -> bool:
        return self.request.operation is Operation.SEARCH

    @property
    def writes(self) -> bool:
        return self.endpoint.effect is not Effect.READ


class _NotSent(Exception):
    """No connection came about: the call cannot have taken effect."""


class _NoReply(Exception):
    """The call was sent, or may have been, and no whole answer came."""


class Transport:
    """Makes calls; shared by all threads of the process."""

    def __init__(
        self,
        config: HubSpotConfig,
        *,
        rate_budget: RateBudget,
        circuit_breaker: CircuitBreaker,
        call_log: CallLog,
        day: PortalDay,
        clock: Monotonic = time.monotonic,
        sender: Sender | None = None,
    ) -> None:
        self._config = config
        self._day = day
        self._rate_budget = rate_budget
        self._circuit_breaker = circuit_breaker
        self._call_log = call_log
        self._clock = clock
        self._retries = RetryPolicy(max_attempts=config.max_attempts, random=random.random)
        self._connections = threading.BoundedSemaphore(config.pool_size)
        self._sender = _build_sender(config, sender)

    def call(self, request: Request, context: CallContext) -> Answer:
        """Return HubSpot's answer, after as many attempts as are safe and in time.

        Raises RateLimited, Unavailable, NotFound or Refused.
        """
        content = None if request.body is None else encode_json(request.body)
        sending = _Sending(request, ENDPOINTS[request.operation], content, context)
        repeatable = sending.endpoint.effect is not Effect.CREATE and not request.once
        may_have_taken_effect = False
        try:
            for attempt in self._retries.attempts(repeatable=repeatable, deadline=context.deadline):
                with attempt:
                    try:
                        return self._attempt_once(sending, attempt.num)
                    except AttemptFailed as failed:
                        may_have_taken_effect = (
                            may_have_taken_effect or failed.error.may_have_taken_effect
                        )
                        raise
        except AttemptFailed as failed:
            failed.error.may_have_taken_effect = may_have_taken_effect
            raise failed.error from failed
        except HubSpotError as error:
            error.may_have_taken_effect = may_have_taken_effect
            raise
        raise AssertionError("The retry loop ends with an answer or an error.")

    def close(self) -> None:
        """Close the idle connections; those in use close when their calls end."""
        self._sender.close()

    def _attempt_once(self, sending: _Sending, number: int) -> Answer:
        deadline = sending.context.deadline
        if deadline.passed:
            raise Unavailable("No time is left to ask HubSpot.")
        self._circuit_breaker.refuse_while_open()
        slot = self._acquire_slot(sending)
        if not self._connections.acquire(timeout=deadline.remaining_s()):
            slot.report_unused()
            raise Unavailable("No connection to HubSpot came free in time.")
        try:
            while self._clock() - slot.granted_s > MAX_SLOT_AGE_S:
                slot.report_unused()
                slot = self._acquire_slot(sending)
            try:
                # Only now: the circuit may have opened during the waits, and a probe must not wait.
                permit = self._circuit_breaker.issue_permit()
            except Unavailable:
                slot.report_unused()
                raise
            reply = self._send(sending, slot, permit, number)
        finally:
            self._connections.release()
        return self._judge_reply(reply, sending)

    def _acquire_slot(self, sending: _Sending) -> Slot:
        context = sending.context
        return self._rate_budget.acquire(
            context.deadline, priority=context.priority, search=sending.search
        )

    def _send(self, sending: _Sending, slot: Slot, permit: Permit, number: int) -> _Reply:
        """Send once; report on slot and permit, and write the call log, whatever happens."""
        started_s = self._clock()
        reply: _Reply | None = None
        sent, failure = True, ""
        try:
            reply = self._exchange(sending)
        except _NotSent as error:
            sent, failure = False, describe_failure(error)
            unreachable = Unavailable(f"HubSpot could not be reached: {failure}.")
            raise AttemptFailed(Completion.NO, unreachable, wait_s=RETRY_WAIT_S) from error
        except _NoReply as error:
            failure = describe_failure(error)
            cut_off = Unavailable(
                "HubSpot did not answer in time, or the connection was lost.",
                may_have_taken_effect=sending.writes,
            )
            raise AttemptFailed(Completion.PERHAPS, cut_off, wait_s=RETRY_WAIT_S) from error
        finally:
            took_s = self._clock() - started_s
            if sent:
                slot.report_answer(took_s, None if reply is None else reply.left)
            else:
                slot.report_unused()
            hurried = sending.context.deadline.passed and took_s < MIN_FAIR_CHANCE_S
            status = None if reply is None else reply.status
            permit.report(status, hurried=hurried, failure=failure)
            self._log_call(sending, reply, number, slot.waited_s, took_s, hurried=hurried)
        return reply

    def _log_call(
        self,
        sending: _Sending,
        reply: _Reply | None,
        number: int,
        waited_s: float,
        took_s: float,
        *,
        hurried: bool,
    ) -> None:
        body: JsonObject = {} if reply is None or reply.body is None else reply.body
        record = CallRecord(
            operation=sending.request.operation.value,
            object_type=sending.request.about,
            method=sending.endpoint.method,
            status=None if reply is None else reply.status,
            attempt=number,
            waited_s=waited_s,
            took_s=took_s,
            background=sending.context.priority is Priority.BACKGROUND,
            meaning=None if reply is None else reply.verdict.meaning,
            hurried=hurried,
            asked_by=sending.context.asked_by,
            policy=policy_of(body) if reply is not None and reply.status == TOO_MANY else None,
            left=None if reply is None else reply.left,
            day_left=None if reply is None else reply.day_left,
        )
        self._call_log.write(record, sending.context.meters)
        if waited_s > LONG_WAIT_S:
            waited = {"operation": record.operation, "asked_by": record.asked_by}
            log.warning("hubspot_waited_long", **waited, waited_s=round(waited_s, 3))
        if logger.isEnabledFor(logging.DEBUG):
            extra = {**asdict(record), "correlation_id": correlation_id_of(body)}
            logger.debug("hubspot.call", extra=extra)

    def _exchange(self, sending: _Sending) -> _Reply:
        """Send and read the whole answer; raises _NotSent or _NoReply."""
        config, request, deadline = self._config, sending.request, sending.context.deadline
        left_s = max(deadline.remaining_s(), MIN_TIMEOUT_S)
        connect_s = min(config.connect_timeout_s, left_s)
        read_s = min(config.read_timeout_s, left_s)
        path = sending.endpoint.path(config.api_version, request.object_type, request.to_type)
        try:
            with self._sender.send(
                sending.endpoint.method,
                path + request.tail,
                sending.content,
                timeout_s=(connect_s, read_s),
            ) as response:
                content = read_whole(
                    response.raw, lambda: socket_of(response.raw), deadline, read_s
                )
        except requests.RequestException as error:
            raise (_NotSent if never_connected(error) else _NoReply) from error
        except (Urllib3Error, OSError) as error:
            raise _NoReply from error
        body = parse_body(content)
        return _Reply(
            response.status_code,
            body,
            judge_reply(request.operation, response.status_code, body, request.accepts),
            parse_retry_after_s(response.headers.get("Retry-After", "")),
            parse_count(response.headers.get("X-HubSpot-RateLimit-Remaining", "")),
            parse_count(response.headers.get("X-HubSpot-RateLimit-Daily-Remaining", "")),
        )

    def _judge_reply(self, reply: _Reply, sending: _Sending) -> Answer:
        """Return the answer if it is one, else raise what it means."""
        body: JsonObject = reply.body if reply.body is not None else {}
        verdict = reply.verdict
        if verdict.meaning in {Meaning.OK, Meaning.PARTIAL}:
            return Answer(status=reply.status, body=body)
        error = build_error(verdict, reply.status, body, retry_after_s=reply.retry_after_s)
        if verdict.until_midnight and not error.retry_after_s:
            error.retry_after_s = self._day.remaining_s()
        if verdict.meaning in {Meaning.RETRY, Meaning.UNEXPECTED}:
            error.may_have_taken_effect = sending.writes
        if verdict.pauses:
            self._pause(error.retry_after_s or verdict.wait_s, search=sending.search)
        completion = COMPLETIONS.get(verdict.meaning, Completion.POINTLESS)
        raise AttemptFailed(completion, error, wait_s=verdict.wait_s)

    def _pause(self, seconds: float, *, search: bool) -> None:
        seconds = self._rate_budget.pause(seconds, search=search)
        log.warning("hubspot_paused", seconds=round(seconds, 3), search=search)
        self._call_log.tell(Paused(seconds=seconds, search=search))


def _build_sender(config: HubSpotConfig, sender: Sender | None) -> DirectSender:
    headers = {
        "Authorization": f"Bearer {config.token}",
        "Content-Type": "application/json",
    }
    return DirectSender(config.base_url, config.pool_size, headers, sender)
