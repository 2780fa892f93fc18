"""Reads and writes of many records at once.

Any number of ids goes in: they are normalised and deduplicated, cut into HubSpot's batches, sent in
parallel, and their answers joined. Every id asked for comes out in exactly one part: found, missing
(HubSpot said it does not exist) or unknown (its part failed, or the answer left it out). Results
are matched by id, never by position. No method raises for a part that failed.

A batch that HubSpot refuses whole because of one record is halved until that record is found: it
gets the refusal, the others go through, and for ten minutes it is sent apart from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from hubspot_sync.batching.answer_matching import (
    error_of_left_out,
    join_spellings,
    mark_unknown,
    match_archived,
    match_by_key,
)
from hubspot_sync.batching.chunking import EMAIL, chunks, normal_key, spell_key, split_possible_keys
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.batching.paging import read_association_targets
from hubspot_sync.batching.raw_records import NewRecord, RawRecord
from hubspot_sync.batching.refused_records import (
    MAX_REFUSED_READS,
    CallKind,
    RefusedRecords,
    Sent,
    send_around_culprits,
)
from hubspot_sync.batching.single_reads import SingleReads
from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.portal.record_names import ADDITIONAL_EMAILS, MERGED_IDS
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import BatchSent
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.transport import Answer, Request, Transport
from hubspot_sync.wire.verdicts import Meaning, judge_members

MAX_PER_READ: Final = 100
MAX_PER_READ_WITH_HISTORY: Final = 50
MAX_PER_WRITE: Final = 100
MAX_PER_ASSOCIATION_READ: Final = 1_000

STATUSES_OF_ONE_WRITE: Final = frozenset({400, 404, 409})
STATUSES_OF_ONE_READ: Final = frozenset({400})
"""With these one record can refuse a whole batch. A read's 404 says that there is no such type."""

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

    def __init__(
        self,
        transport: Transport,
        fan_outs: Mapping[Priority, FanOut],
        refused_records: RefusedRecords,
        tell: Callable[[BatchSent], None],
    ) -> None:
        self._tell = tell
        self._transport = transport
        self._single_reads = SingleReads(transport)
        self._fan_outs = fan_outs
        self._refused_records = refused_records

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
        """Return the records by id, or by the value of a unique `id_property` (e-mails as they are
        compared). What cannot be an id at all is missing without being asked for. By a merged
        record's id, or an additional e-mail, it is the record that has it now, with an id of its
        own."""
        names = {*properties, MERGED_IDS}
        names |= set() if id_property is None else {id_property}
        names |= {ADDITIONAL_EMAILS} if id_property == EMAIL else set()
        wanted: dict[str, Any] = {"properties": sorted(names)}
        if id_property is not None:
            wanted["idProperty"] = id_property
        if len(with_history) > 0:
            wanted["propertiesWithHistory"] = sorted(set(with_history))

        def read_chunk(chunk: Sequence[str]) -> Many[RawRecord]:
            body = {"inputs": [{"id": key} for key in chunk], **wanted}
            answer = self._ask(Operation.BATCH_READ, object_type, body, context)
            return match_by_key(chunk, answer, id_property)

        kind = CallKind(
            operation=Operation.BATCH_READ, object_type=object_type, detail=id_property or ""
        )
        limit = MAX_PER_READ if len(with_history) == 0 else MAX_PER_READ_WITH_HISTORY
        keys, impossible = split_possible_keys(ids, id_property)
        if id_property is not None:
            spelled = {key: spell_key(key, id_property) for key in keys}
            asked = [spelling for spellings in spelled.values() for spelling in spellings]
            read = self._read_in_chunks(kind, asked, limit, read_chunk, context)
            return _add_missing(join_spellings(read, spelled), impossible)
        read = self._read_in_chunks(kind, keys, limit, read_chunk, context)
        history, fan_out = sorted(set(with_history)), self._fan_outs[context.priority]
        read = self._single_reads.complete(
            object_type, read, wanted["properties"], history, context, fan_out
        )
        return _add_missing(read, impossible)

    def read_archived(
        self, object_type: str, ids: Collection[str], *, context: CallContext, singly: bool = False
    ) -> Many[RawRecord]:
        """Return those of the records that are archived: they may be restored. `singly` asks for
        each by itself, a hundred at most: by a merged record's id a batch may know of none."""
        if singly:
            none: Many[RawRecord] = Many({}, missing=frozenset(ids))
            asked = object_type, none, (), (), context, self._fan_outs[context.priority]
            return self._single_reads.complete(*asked, archived=True)

        def read_chunk(chunk: Sequence[str]) -> Many[RawRecord]:
            body = {"inputs": [{"id": key} for key in chunk], "properties": [MERGED_IDS]}
            tail = "?archived=true"
            answer = self._ask(Operation.BATCH_READ, object_type, body, context, tail=tail)
            return match_by_key(chunk, answer, None)

        kind = CallKind(operation=Operation.BATCH_READ, object_type=object_type, detail="archived")
        keys, impossible = split_possible_keys(ids, None)
        read = self._read_in_chunks(kind, keys, MAX_PER_READ, read_chunk, context)
        return _add_missing(read, impossible)

    def read_associations(
        self, from_type: str, to_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[tuple[str, ...]]:
        """Return the ids of all records each is linked to; none is found with an empty tuple."""

        def read_chunk(chunk: Sequence[str]) -> Many[tuple[str, ...]]:
            return read_association_targets(self._transport, from_type, to_type, chunk, context)

        kind = CallKind(
            operation=Operation.ASSOCIATIONS_READ, object_type=from_type, detail=to_type
        )
        keys, impossible = split_possible_keys(ids, None)
        read = self._read_in_chunks(kind, keys, MAX_PER_ASSOCIATION_READ, read_chunk, context)
        return _add_missing(read, impossible)

    def create(
        self, object_type: str, records: Sequence[NewRecord], *, context: CallContext
    ) -> Mapping[str, CreateOutcome]:
        """Return what became of each record, by trace id; raise ValueError for a trace id twice. A
        record refused is known again by its `origin`, where it has one."""
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

        kind = CallKind(operation=Operation.BATCH_CREATE, object_type=object_type)
        names = {trace_id: record.origin for trace_id, record in by_trace.items()}
        parts = self._write_in_chunks(kind, names, send, fail, context)
        return {trace_id: outcome for part in parts for trace_id, outcome in part.items()}

    def update(
        self,
        object_type: str,
        changes: Mapping[str, Mapping[str, str]],
        *,
        context: CallContext,
        once: bool = False,
        common: Collection[str] = (),
    ) -> Many[RawRecord]:
        """Return the records as updated. An id whose error is a Refused was certainly not changed;
        of any other unknown nobody knows, but the same absolute values may be sent again. They are,
        here already, unless `once`: for values that a late arrival of the first sending could put
        over newer ones. `common` are properties for which no record is refused by itself."""
        keys, impossible = split_possible_keys(changes, None)
        by_key = {normal_key(record_id): values for record_id, values in changes.items()}

        def send(chunk: Sequence[str]) -> Many[RawRecord]:
            inputs = [{"id": key, "properties": dict(by_key[key])} for key in chunk]
            body = {"inputs": inputs}
            answer = self._ask(Operation.BATCH_UPDATE, object_type, body, context, once=once)
            return match_by_key(chunk, answer, None)

        kind = CallKind(operation=Operation.BATCH_UPDATE, object_type=object_type)
        names = dict(zip(keys, keys, strict=True))
        parts = self._write_in_chunks(kind, names, send, _fail_update, context, common)
        updated = merge(parts)
        return _add_missing(updated, impossible)

    def archive(
        self, object_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[None]:
        """Archive the records; one that does not exist counts as archived, as HubSpot has it."""

        def send(chunk: Sequence[str]) -> Many[None]:
            body = {"inputs": [{"id": key} for key in chunk]}
            answer = self._ask(Operation.BATCH_ARCHIVE, object_type, body, context)
            return match_archived(chunk, answer)

        def fail(chunk: Sequence[str], error: HubSpotError) -> Many[None]:
            return mark_unknown(chunk, error)

        kind = CallKind(operation=Operation.BATCH_ARCHIVE, object_type=object_type)
        keys, impossible = split_possible_keys(ids, None)
        names = dict(zip(keys, keys, strict=True))
        archived = merge(self._write_in_chunks(kind, names, send, fail, context))
        return _add_missing(archived, impossible)

    def _ask(
        self,
        operation: Operation,
        object_type: str,
        body: Mapping[str, Any],
        context: CallContext,
        *,
        once: bool = False,
        tail: str = "",
    ) -> Answer:
        request = Request(
            operation=operation, object_type=object_type, tail=tail, body=body, once=once
        )
        return self._transport.call(request, context)

    def _read_in_chunks(
        self,
        kind: CallKind,
        keys: Sequence[str],
        limit: int,
        send: Callable[[Sequence[str]], Many[V]],
        context: CallContext,
    ) -> Many[V]:
        def send_part(part: Sequence[str]) -> Sent[Many[V]]:
            return send_around_culprits(
                part,
                send,
                mark_unknown,
                statuses=STATUSES_OF_ONE_READ,
                max_refused_first=MAX_REFUSED_READS,
            )

        names = dict(zip(keys, keys, strict=True))
        return merge(self._send_in_chunks(kind, names, limit, send_part, context))

    def _write_in_chunks(
        self,
        kind: CallKind,
        names: Mapping[str, str],
        send: Callable[[Sequence[str]], R],
        fail: Callable[[Sequence[str], HubSpotError], R],
        context: CallContext,
        common: Collection[str] = (),
    ) -> list[R]:
        def send_part(part: Sequence[str]) -> Sent[R]:
            return send_around_culprits(
                part, send, fail, statuses=STATUSES_OF_ONE_WRITE, common=common
            )

        return self._send_in_chunks(kind, names, MAX_PER_WRITE, send_part, context)

    def _send_in_chunks(
        self,
        kind: CallKind,
        names: Mapping[str, str],
        limit: int,
        send_part: Callable[[Sequence[str]], Sent[R]],
        context: CallContext,
    ) -> list[R]:
        """Send all keys, those that were refused lately in calls of their own. `names` says by what
        each key is known again, "" by nothing."""
        known = self._refused_records.known_among(kind, names.values())
        together = [key for key, name in names.items() if name not in known]
        apart = [[key] for key, name in names.items() if name in known]
        parts = [*chunks(together, limit), *apart]
        outcomes = self._fan_outs[context.priority].run(
            [partial(send_part, part) for part in parts]
        )
        self._refused_records.learn(
            kind,
            refused={names[key] for sent in outcomes for key in sent.refused},
            accepted={names[key] for sent in outcomes for key in sent.accepted},
        )
        for sent in outcomes:
            self._tell(_count_batch(kind.operation, sent))
        return [outcome for sent in outcomes for outcome in sent.parts]


def _count_batch(operation: Operation, sent: Sent[Any]) -> BatchSent:
    """Return how many records of a batch came to what, whatever calls it took."""
    ok = 0
    errors: list[HubSpotError] = []
    for part in sent.parts:
        if isinstance(part, Many):
            ok += len(part.found) + len(part.missing)
            errors += part.unknown.values()
        else:
            refusals = [outcome for outcome in part.values() if not isinstance(outcome, Created)]
            ok += len(part) - len(refusals)
            errors += [outcome.error for outcome in refusals]
    failed = sum(isinstance(error, Refused | NotFound) for error in errors)
    return BatchSent(operation=operation.value, ok=ok, failed=failed, unknown=len(errors) - failed)


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
        record, trace_id = RawRecord.from_json(result), str(result.get("objectWriteTraceId"))
        if record is None:
            continue
        if waiting.pop(trace_id, None) is not None:
            outcomes[trace_id] = Created(record)
        else:
            nameless.append(record)
    for record in nameless:
        alike = [sent.trace_id for sent in waiting.values() if sent.looks_like(record)]
        if len(alike) == 1:
            del waiting[alike[0]]
            outcomes[alike[0]] = Created(record)
    return outcomes | dict.fromkeys(waiting, Unclear(error_of_left_out(answer, took_effect=True)))


def _fail_update(keys: Sequence[str], error: HubSpotError) -> Many[RawRecord]:
    if isinstance(error, NotFound) and len(keys) == 1:
        return Many(found={}, missing=frozenset(keys))
    return mark_unknown(keys, error)


def _add_missing(read: Many[V], more: frozenset[str]) -> Many[V]:
    return Many(found=read.found, missing=read.missing | more, unknown=read.unknown)
