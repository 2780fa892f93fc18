"""Reads and writes of many records at once.

Any number of ids goes in: they are normalised and deduplicated, cut into HubSpot's batches, sent in
parallel, and their answers joined. Every id asked for comes out in exactly one part: found, missing
(HubSpot said it does not exist) or unknown (its part failed, or the answer left it out). Results
are matched by id, never by position. No method raises for a part that failed.

A write that HubSpot refuses whole because of one record is halved until that record is found: it
gets the refusal, the others go through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from hubspot_sync.batching.chunking import chunks, normal_key
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.batching.paging import read_association_targets
from hubspot_sync.batching.raw_records import NewRecord, RawRecord
from hubspot_sync.errors import HubSpotError, NotFound, Refused, Unavailable
from hubspot_sync.portal.record_ids import is_record_id
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.transport import Answer, Request, Transport
from hubspot_sync.wire.verdicts import Meaning, judge_members

MAX_PER_READ: Final = 100
MAX_PER_READ_WITH_HISTORY: Final = 50
MAX_PER_WRITE: Final = 100
MAX_PER_ASSOCIATION_READ: Final = 1_000

EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
STATUSES_OF_ONE_CULPRIT: Final = frozenset({400, 404, 409})

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Created:
    """It exists."""

    record: RawRecord


@dataclass(frozen=True, slots=True)
class NotCreated:
    """It certainly was not made: `error` is a Refused, or says why it was never tried."""

    error: HubSpotError


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody knows: look it up by a unique property before creating again."""

    error: HubSpotError


CreateOutcome = Created | NotCreated | Unclear


class BatchClient:
    """HubSpot's batch endpoints, without their limits."""

    def __init__(self, transport: Transport, fan_outs: Mapping[Priority, FanOut]) -> None:
        self._transport = transport
        self._fan_outs = fan_outs

    def read(
        self,
        object_type: str,
        ids: Collection[str],
        *,
        properties: Collection[str],
        context: CallContext,
        id_property: str | None = None,
        with_history: Collection[str] = (),
    ) -> Many[RawRecord]:
        """Return the records by id, or by the value of a unique `id_property` (e-mails become lower
        case). What cannot be an id at all is missing without being asked for."""
        wanted: dict[str, Any] = {"properties": sorted(set(properties))}
        if id_property is not None:
            wanted["properties"] = sorted({*properties, id_property})
            wanted["idProperty"] = id_property
        if len(with_history) > 0:
            wanted["propertiesWithHistory"] = sorted(set(with_history))

        def read_chunk(chunk: Sequence[str]) -> Many[RawRecord]:
            body = {"inputs": [{"id": key} for key in chunk], **wanted}
            try:
                answer = self._ask(Operation.BATCH_READ, object_type, body, context)
            except HubSpotError as error:
                return _mark_unknown(chunk, error)
            return _match_by_key(chunk, answer, id_property)

        limit = MAX_PER_READ if len(with_history) == 0 else MAX_PER_READ_WITH_HISTORY
        return self._read_in_chunks(ids, id_property, limit, read_chunk, context)

    def read_associations(
        self, from_type: str, to_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[tuple[str, ...]]:
        """Return the ids of all records each is linked to; none is found with an empty tuple."""

        def read_chunk(chunk: Sequence[str]) -> Many[tuple[str, ...]]:
            return read_association_targets(self._transport, from_type, to_type, chunk, context)

        return self._read_in_chunks(ids, None, MAX_PER_ASSOCIATION_READ, read_chunk, context)

    def create(
        self, object_type: str, records: Sequence[NewRecord], *, context: CallContext
    ) -> Mapping[str, CreateOutcome]:
        """Return what became of each record, by trace id; raise ValueError for a trace id twice."""
        by_trace = {record.trace_id: record for record in records}
        if len(by_trace) != len(records):
            raise ValueError("Each new record needs its own trace id.")

        def send(chunk: Sequence[str]) -> Mapping[str, CreateOutcome]:
            sent = [by_trace[trace_id] for trace_id in chunk]
            body = {"inputs": [record.to_json() for record in sent]}
            answer = self._ask(Operation.BATCH_CREATE, object_type, body, context)
            return _match_created(sent, answer)

        def fail(chunk: Sequence[str], error: HubSpotError) -> Mapping[str, CreateOutcome]:
            unclear = error.may_have_taken_effect
            return dict.fromkeys(chunk, Unclear(error) if unclear else NotCreated(error))

        parts = self._write_in_chunks(list(by_trace), send, fail, context)
        return {trace_id: outcome for part in parts for trace_id, outcome in part.items()}

    def update(
        self,
        object_type: str,
        changes: Mapping[str, Mapping[str, str]],
        *,
        context: CallContext,
        once: bool = False,
    ) -> Many[RawRecord]:
        """Return the records as updated. An id whose error is a Refused was certainly not changed;
        of any other unknown nobody knows, but the same absolute values may be sent again. They are,
        here already, unless `once`: for values that a late arrival of the first sending could put
        over newer ones."""
        keys, impossible = _split_possible_keys(changes, None)
        by_key = {normal_key(record_id): values for record_id, values in changes.items()}

        def send(chunk: Sequence[str]) -> Many[RawRecord]:
            inputs = [{"id": key, "properties": dict(by_key[key])} for key in chunk]
            body = {"inputs": inputs}
            answer = self._ask(Operation.BATCH_UPDATE, object_type, body, context, once=once)
            return _match_by_key(chunk, answer, None)

        updated = merge(self._write_in_chunks(keys, send, _fail_update, context))
        return _add_missing(updated, impossible)

    def archive(
        self, object_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[None]:
        """Archive the records; one that does not exist counts as archived, as HubSpot has it."""

        def archive_chunk(chunk: Sequence[str]) -> Many[None]:
            body = {"inputs": [{"id": key} for key in chunk]}
            try:
                answer = self._ask(Operation.BATCH_ARCHIVE, object_type, body, context)
            except HubSpotError as error:
                return _mark_unknown(chunk, error)
            return _match_archived(chunk, answer)

        return self._read_in_chunks(ids, None, MAX_PER_WRITE, archive_chunk, context)

    def _ask(
        self,
        operation: Operation,
        object_type: str,
        body: Mapping[str, Any],
        context: CallContext,
        *,
        once: bool = False,
    ) -> Answer:
        request = Request(operation=operation, object_type=object_type, body=body, once=once)
        return self._transport.call(request, context)

    def _read_in_chunks(
        self,
        ids: Collection[str],
        id_property: str | None,
        limit: int,
        read_chunk: Callable[[Sequence[str]], Many[V]],
        context: CallContext,
    ) -> Many[V]:
        keys, impossible = _split_possible_keys(ids, id_property)
        thunks = [partial(read_chunk, chunk) for chunk in chunks(keys, limit)]
        return _add_missing(merge(self._fan_outs[context.priority].run(thunks)), impossible)

    def _write_in_chunks(
        self,
        keys: Sequence[str],
        send: Callable[[Sequence[str]], R],
        fail: Callable[[Sequence[str], HubSpotError], R],
        context: CallContext,
    ) -> list[R]:
        thunks = [
            partial(_write_around_culprits, chunk, send, fail)
            for chunk in chunks(keys, MAX_PER_WRITE)
        ]
        return [part for parts in self._fan_outs[context.priority].run(thunks) for part in parts]


def _write_around_culprits(
    keys: Sequence[str],
    send: Callable[[Sequence[str]], R],
    fail: Callable[[Sequence[str], HubSpotError], R],
) -> list[R]:
    """Send a write; where HubSpot refuses it whole, find the culprits and let the others through.

    Keys before `start` are done with. After a `refusal`, `keys[start:end]` is the shortest part
    that is known to hold a culprit.

    1. While nothing is suspected, all that is left goes out as one write.
    2. Of a suspected part, the first half goes. Accepted: the culprit is in the other half, which
       need not be tried whole. Refused: it is in this one.
    3. Down to one key, that is the culprit and gets the refusal.
    4. Where one was, more may follow: what is tried after it starts with one key, and doubles with
       each success.

    One culprit among n costs log2(n) calls and one for the keys behind it, on top of the first;
    n culprits cost about 2n.
    """
    parts: list[R] = []
    start, end, max_half = 0, 0, len(keys)
    refusal: HubSpotError | None = None
    while start < len(keys):
        if refusal is not None and end - start == 1:
            parts.append(fail(keys[start:end], refusal))
            start, max_half, refusal = end, 1, None
            continue
        stop = len(keys) if refusal is None else start + min(max_half, (end - start) // 2)
        try:
            parts.append(send(keys[start:stop]))
            start, max_half = stop, 2 * max_half
        except HubSpotError as error:
            if _may_be_one_record(error):
                end, refusal = stop, error
            else:
                parts.append(fail(keys[start:stop], error))
                start, refusal = stop, None
    return parts


def _may_be_one_record(error: HubSpotError) -> bool:
    return isinstance(error, Refused | NotFound) and error.status in STATUSES_OF_ONE_CULPRIT


def _split_possible_keys(
    ids: Iterable[str], id_property: str | None
) -> tuple[list[str], frozenset[str]]:
    """Return the ids worth asking for, each once, and those that nothing can have."""
    keys = dict.fromkeys(normal_key(key, id_property) for key in ids)
    possible = [key for key in keys if _is_possible_key(key, id_property)]
    return possible, frozenset(keys) - frozenset(possible)


def _is_possible_key(key: str, id_property: str | None) -> bool:
    if id_property is None:
        return is_record_id(key)
    if id_property == "email":
        return EMAIL.fullmatch(key) is not None
    return key != ""


def _match_by_key(keys: Sequence[str], answer: Answer, id_property: str | None) -> Many[RawRecord]:
    """Sort a batch's answer: what was asked for and is neither given nor named is unknown.

    HubSpot finds a contact under its secondary e-mails too. Such a record comes back under another
    value than was asked for; nobody has the asked one as his own, so it is missing.
    """
    records = [RawRecord.from_json(result) for result in answer.results if "id" in result]
    found: dict[str, RawRecord] = {}
    strangers = 0
    for record in records:
        value = record.id if id_property is None else record.properties.get(id_property) or ""
        key = normal_key(value, id_property)
        if key in keys:
            found[key] = record
        else:
            strangers += 1
    named = {
        normal_key(key, id_property): member
        for member in judge_members(answer.body)
        for key in member.ids
    }
    absent = {key for key, member in named.items() if member.verdict.meaning is Meaning.MISSING}
    missing = {key for key in keys if key in absent and key not in found}
    unknown = {
        key: named[key].error if key in named else _error_of_left_out(answer)
        for key in keys
        if key not in found and key not in missing
    }
    if id_property is not None and 0 < len(unknown) <= strangers and not unknown.keys() & named:
        return Many(found=found, missing=frozenset(missing | unknown.keys()))
    return Many(found=found, missing=frozenset(missing), unknown=unknown)


def _match_archived(keys: Sequence[str], answer: Answer) -> Many[None]:
    """A 204 says all are archived; a 207 that all are but those it names."""
    if answer.status != 207:
        return Many(found=dict.fromkeys(keys))
    named = {key: member for member in judge_members(answer.body) for key in member.ids}
    nameless = [member.error for member in judge_members(answer.body) if len(member.ids) == 0]
    if len(nameless) > 0:
        return _mark_unknown(keys, nameless[0])
    unknown = {
        key: named[key].error
        for key in keys
        if key in named and named[key].verdict.meaning is not Meaning.MISSING
    }
    return Many(found=dict.fromkeys(key for key in keys if key not in unknown), unknown=unknown)


def _match_created(sent: Sequence[NewRecord], answer: Answer) -> Mapping[str, CreateOutcome]:
    """Match what was made to what was sent: by trace id where HubSpot gives it back, else by the
    values sent, where only one fits. What cannot be matched is unclear, never taken as not made."""
    waiting = {record.trace_id: record for record in sent}
    outcomes: dict[str, CreateOutcome] = {}
    for member in judge_members(answer.body):
        for trace_id in member.trace_ids:
            if waiting.pop(trace_id, None) is not None:
                # MISSING: a record it should be linked to does not exist.
                refused = member.verdict.meaning in {Meaning.REFUSED, Meaning.MISSING}
                outcomes[trace_id] = (NotCreated if refused else Unclear)(member.error)
    nameless: list[RawRecord] = []
    for result in answer.results:
        if "id" not in result:
            continue
        record, trace_id = RawRecord.from_json(result), str(result.get("objectWriteTraceId"))
        if waiting.pop(trace_id, None) is not None:
            outcomes[trace_id] = Created(record)
        else:
            nameless.append(record)
    for record in nameless:
        alike = [sent.trace_id for sent in waiting.values() if sent.looks_like(record)]
        if len(alike) == 1:
            del waiting[alike[0]]
            outcomes[alike[0]] = Created(record)
    return outcomes | dict.fromkeys(waiting, Unclear(_error_of_left_out(answer, took_effect=True)))


def _fail_update(keys: Sequence[str], error: HubSpotError) -> Many[RawRecord]:
    if isinstance(error, NotFound) and len(keys) == 1:
        return Many(found={}, missing=frozenset(keys))
    return _mark_unknown(keys, error)


def _mark_unknown(keys: Sequence[str], error: HubSpotError) -> Many[V]:
    return Many(found={}, unknown=dict.fromkeys(keys, error))


def _add_missing(read: Many[V], more: frozenset[str]) -> Many[V]:
    return Many(found=read.found, missing=read.missing | more, unknown=read.unknown)


def _error_of_left_out(answer: Answer, *, took_effect: bool = False) -> Unavailable:
    return Unavailable(
        "HubSpot's answer left out a record asked for.",
        status=answer.status,
        may_have_taken_effect=took_effect,
    )
