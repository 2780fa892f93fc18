"""Many callers, one call.

Callers that want the same kind of thing while a call for it is under way gather, and their ids go
out together in the next one. There are no timers: a lone caller waits for nobody, and a gathering
that has filled a whole request leaves at once. Each caller gets its own result and waits only until
its own deadline. A call that takes overly long does not hold up those who came after it: they go
out beside it. People and background work never share, because background calls wait for people.

Only a call *not yet sent* may be joined: an answer under way could be older than the caller's own
start, and show it a world before its own write.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from hubspot_sync.batching.batch import MAX_PER_ASSOCIATION_READ, MAX_PER_READ, BatchClient
from hubspot_sync.batching.chunking import chunks, normal_keys
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import SearchFilter, WordFilter, search_rows
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError, Refused, Unavailable
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.transport import Transport
from hubspot_sync.wire.verdicts import JsonObject

MAX_WAIT_BEHIND_S: Final = 1.0
MAX_SIDE_BY_SIDE: Final = 3
"""So many calls of a kind at once, full ones not counted: while the budget is what they wait for,
more of them would only make it scarcer."""
MAX_VALUES_OF_FILTER: Final = 100
"""HubSpot, "CRM search": so many values an IN takes."""
THE_SEARCH: Final = "search"
"""All who share a search ask for one thing: its rows."""

V = TypeVar("V")
Ask = Callable[[Collection[str], CallContext], Many[V]]


@dataclass(eq=False, slots=True)
class _Caller:
    """One who waits. `woken` is set when it is this caller's turn to make the call (`leads`), or
    when somebody else's has ended."""

    ids: tuple[str, ...]
    context: CallContext
    leads: bool = False
    woken: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False, slots=True)
class _Gathering(Generic[V]):
    """Callers whose ids go out in one call; `departed` once nobody may join any more."""

    callers: list[_Caller] = field(default_factory=list)
    departed: bool = False
    outcome: Many[V] | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        if len(self.callers) == 1:
            return self.callers[0].ids
        return tuple(dict.fromkeys(key for caller in self.callers for key in caller.ids))


@dataclass(eq=False, slots=True)
class _Lane(Generic[V]):
    """All calls of one kind: how many are under way, and who gathers for the next."""

    under_way: int = 0
    gathering: _Gathering[V] = field(default_factory=_Gathering)

    def depart(self) -> None:
        """Close the gathering and give one of its callers the turn: the one who can wait longest,
        so that nobody makes a call for others beyond the own deadline."""
        leaving, self.gathering = self.gathering, _Gathering()
        leaving.departed = True
        self.under_way += 1
        leader = max(leaving.callers, key=lambda caller: caller.context.deadline.at_s)
        leader.leads = True
        leader.woken.set()


class Coalescer:
    """Batch reads and searches shared between threads. Callers wait `max_wait_behind_s` seconds for
    a call of their kind to end before they go out beside it."""

    def __init__(
        self,
        batch: BatchClient,
        transport: Transport,
        *,
        max_wait_behind_s: float = MAX_WAIT_BEHIND_S,
    ) -> None:
        self._batch = batch
        self._transport = transport
        self._max_wait_behind_s = max_wait_behind_s
        self._lock = threading.Lock()
        self._lanes: dict[Hashable, _Lane[Any]] = {}

    def read(
        self,
        object_type: str,
        ids: Collection[str],
        *,
        properties: Collection[str],
        context: CallContext,
        id_property: str | None = None,
    ) -> Many[RawRecord]:
        """Return `BatchClient.read` of these ids, shared with others who want the same
        properties."""
        wanted = tuple(sorted(set(properties)))
        key = ("read", object_type, wanted, id_property)

        def ask(asked: Collection[str], shared: CallContext) -> Many[RawRecord]:
            return self._batch.read(
                object_type, asked, properties=wanted, context=shared, id_property=id_property
            )

        normal = normal_keys(ids, id_property)
        return self._ask_together(key, MAX_PER_READ, ask, normal, context)

    def read_associations(
        self, from_type: str, to_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[tuple[str, ...]]:
        """Return `BatchClient.read_associations` of these ids, shared with others who want the same
        pair."""
        key = ("associations", from_type, to_type)

        def ask(asked: Collection[str], shared: CallContext) -> Many[tuple[str, ...]]:
            return self._batch.read_associations(from_type, to_type, asked, context=shared)

        return self._ask_together(key, MAX_PER_ASSOCIATION_READ, ask, normal_keys(ids), context)

    def search_ids(
        self,
        object_type: str,
        filters: Sequence[SearchFilter],
        *,
        context: CallContext,
        words: WordFilter | None = None,
    ) -> tuple[str, ...]:
        """Return `paging.search_ids`, shared with others who search for the same. Raises
        HubSpotError."""
        looked_at = () if words is None else (words.property_name,)
        rows = self.search_rows(object_type, [filters], context=context, looked_at=looked_at)
        return tuple(
            record_id for record_id, row in rows.items() if words is None or words.accepts(row)
        )

    def search_rows(
        self,
        object_type: str,
        groups: Sequence[Sequence[SearchFilter]],
        *,
        context: CallContext,
        looked_at: Sequence[str] = (),
    ) -> Mapping[str, JsonObject]:
        """Return `paging.search_rows`, shared with others who search for the same. Raises
        HubSpotError."""
        wanted, properties = tuple(map(tuple, groups)), tuple(looked_at)

        def ask(_asked: Collection[str], shared: CallContext) -> Many[Mapping[str, JsonObject]]:
            try:
                found = search_rows(self._transport, object_type, wanted, shared, properties)
            except HubSpotError as error:
                return Many(found={}, unknown={THE_SEARCH: error})
            return Many(found={THE_SEARCH: found})

        key = ("search", object_type, wanted, properties)
        searched = self._ask_together(key, math.inf, ask, (THE_SEARCH,), context)
        return searched.require_complete().found[THE_SEARCH]

    def read_by_property(
        self,
        object_type: str,
        property_name: str,
        values: Collection[str],
        *,
        properties: Collection[str],
        context: CallContext,
    ) -> Many[tuple[RawRecord, ...]]:
        """Return the records in which a property has each value, shared with others who look for
        such. Search says which there are, and lags by seconds; what is in them is read by id.
        `properties` have the property. One that HubSpot refuses to show is left out."""
        wanted = tuple(sorted({property_name, *properties}))

        def ask(asked: Collection[str], shared: CallContext) -> Many[tuple[RawRecord, ...]]:
            try:
                ids = [
                    record_id
                    for part in chunks(list(asked), MAX_VALUES_OF_FILTER)
                    for record_id in search_rows(
                        self._transport, object_type, [[_one_of(property_name, part)]], shared
                    )
                ]
                read = self._batch.read(object_type, ids, properties=wanted, context=shared)
                found = read.without_refused().require_complete().found.values()
            except HubSpotError as error:
                return Many(found={}, unknown=dict.fromkeys(asked, error))
            return Many(found={value: _with_value(found, property_name, value) for value in asked})

        key = ("by property", object_type, property_name, wanted)
        return self._ask_together(
            key, MAX_VALUES_OF_FILTER, ask, tuple(dict.fromkeys(values)), context
        )

    def _ask_together(
        self,
        question: Hashable,
        limit: float,
        ask: Ask[V],
        ids: tuple[str, ...],
        context: CallContext,
    ) -> Many[V]:
        """Join the next call of this kind, make it if it is our turn, and take our part."""
        if len(ids) == 0:
            return Many(found={})
        key = (context.priority, question)
        caller = _Caller(ids=ids, context=context)
        with self._lock:
            lane = self._lanes.setdefault(key, _Lane())
            gathering = lane.gathering
            gathering.callers.append(caller)
            if lane.under_way == 0 or len(gathering.ids) >= limit:
                lane.depart()
        self._wait_for_turn(lane, gathering, caller)
        if caller.leads:
            self._make_call(key, gathering, ask)
        if gathering.outcome is None:
            return _mark_unknown(ids, "The shared call to HubSpot did not end in time.")
        if len(gathering.callers) == 1:
            return gathering.outcome
        if _another_may_be_culprit(gathering.outcome, ids):
            return ask(ids, context)
        return _select(gathering.outcome, ids)

    def _wait_for_turn(self, lane: _Lane[V], gathering: _Gathering[V], caller: _Caller) -> None:
        """Wait for the caller's turn or result; leave the gathering if time is up first."""
        deadline = caller.context.deadline
        caller.woken.wait(min(self._max_wait_behind_s, deadline.remaining_s()))
        with self._lock:
            early = not gathering.departed and not deadline.passed
            if early and lane.under_way < MAX_SIDE_BY_SIDE:
                lane.depart()
        caller.woken.wait(deadline.remaining_s())
        with self._lock:
            if not gathering.departed:
                gathering.callers.remove(caller)

    def _make_call(self, key: Hashable, gathering: _Gathering[V], ask: Ask[V]) -> None:
        """Make the call for all who gathered, and let the next gathering go."""
        try:
            shared = CallContext.join([caller.context for caller in gathering.callers])
            gathering.outcome = ask(gathering.ids, shared)
        finally:
            with self._lock:
                lane = self._lanes[key]
                lane.under_way -= 1
                if len(lane.gathering.callers) > 0:
                    lane.depart()
                elif lane.under_way == 0:
                    del self._lanes[key]
            for caller in gathering.callers:
                caller.woken.set()


def _one_of(property_name: str, values: Sequence[str]) -> SearchFilter:
    return SearchFilter(property_name=property_name, operator="IN", values=tuple(values))


def _with_value(
    records: Collection[RawRecord], property_name: str, value: str
) -> tuple[RawRecord, ...]:
    return tuple(
        record
        for record in records
        if (record.properties.get(property_name) or "").strip() == value
    )


def _select(whole: Many[V], ids: tuple[str, ...]) -> Many[V]:
    """Return what one caller asked for."""
    return Many(
        found={key: whole.found[key] for key in ids if key in whole.found},
        missing=frozenset(key for key in ids if key in whole.missing),
        unknown={key: whole.unknown[key] for key in ids if key in whole.unknown},
    )


def _another_may_be_culprit(whole: Many[V], ids: tuple[str, ...]) -> bool:
    """Whether one of the ids was refused together with somebody else's, as one error: HubSpot found
    something invalid, and it was not narrowed down to whose."""
    refused = {
        key: error
        for key, error in whole.unknown.items()
        if isinstance(error, Refused) and error.status == 400
    }
    own = [refused[key] for key in ids if key in refused]
    others = [error for key, error in refused.items() if key not in ids]
    return any(error is other for error in own for other in others)


def _mark_unknown(ids: tuple[str, ...], message: str) -> Many[V]:
    return Many(found={}, unknown=dict.fromkeys(ids, Unavailable(message)))
