"""Many callers, one call.

Callers that want the same kind of thing while a call for it is under way gather, and their ids go
out together in the next one. There are no timers: a lone caller waits for nobody, and a gathering
that has filled a whole request leaves at once. Each caller gets its own result and waits only until
its own deadline.

Only a call *not yet sent* may be joined: an answer under way could be older than the caller's own
start, and show it a world before its own write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hubspot_sync.batch import ASSOCIATION_READ_LIMIT, READ_LIMIT, BatchClient, normal_key
from hubspot_sync.context import CallContext
from hubspot_sync.errors import Refused, Unavailable
from hubspot_sync.outcomes import Many
from hubspot_sync.raw_records import RawRecord

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
        return tuple(dict.fromkeys(one for caller in self.callers for one in caller.ids))


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
    """Batch reads shared between threads."""

    def __init__(self, batch: BatchClient) -> None:
        self._batch = batch
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
        """Return `BatchClient.read` of these ids, shared with others who want the same properties."""
        wanted = tuple(sorted(set(properties)))
        key = ("read", object_type, wanted, id_property)

        def ask(asked: Collection[str], shared: CallContext) -> Many[RawRecord]:
            return self._batch.read(
                object_type, asked, properties=wanted, context=shared, id_property=id_property
            )

        normal = (normal_key(one, id_property) for one in ids)
        return self._shared(key, READ_LIMIT, ask, tuple(dict.fromkeys(normal)), context)

    def read_associations(
        self, from_type: str, to_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[tuple[str, ...]]:
        """Return `BatchClient.read_associations` of these ids, shared with others who want the same
        pair."""
        key = ("associations", from_type, to_type)

        def ask(asked: Collection[str], shared: CallContext) -> Many[tuple[str, ...]]:
            return self._batch.read_associations(from_type, to_type, asked, context=shared)

        normal = (normal_key(one, None) for one in ids)
        limit = ASSOCIATION_READ_LIMIT
        return self._shared(key, limit, ask, tuple(dict.fromkeys(normal)), context)

    def _shared(
        self,
        key: Hashable,
        limit: int,
        ask: Ask[V],
        ids: tuple[str, ...],
        context: CallContext,
    ) -> Many[V]:
        """Join the next call of this kind, make it if it is our turn, and take our part."""
        if len(ids) == 0:
            return Many(found={})
        caller = _Caller(ids=ids, context=context)
        with self._lock:
            lane = self._lanes.setdefault(key, _Lane())
            gathering = lane.gathering
            gathering.callers.append(caller)
            if lane.under_way == 0 or len(gathering.ids) >= limit:
                lane.depart()
        caller.woken.wait(context.deadline.remaining_s())
        with self._lock:
            if not gathering.departed:
                gathering.callers.remove(caller)
        if caller.leads:
            self._make(lane, gathering, ask)
        if gathering.outcome is None:
            return _unknown(ids, "The shared call to HubSpot did not end in time.")
        own = _part(gathering.outcome, ids)
        if len(gathering.callers) > 1 and _one_caller_may_be_guilty(own):
            return ask(ids, context)
        return own

    def _make(self, lane: _Lane[V], gathering: _Gathering[V], ask: Ask[V]) -> None:
        """Make the call for all who gathered, and let the next gathering go."""
        try:
            shared = CallContext.joined([caller.context for caller in gathering.callers])
            gathering.outcome = ask(gathering.ids, shared)
        finally:
            with self._lock:
                lane.under_way -= 1
                if len(lane.gathering.callers) > 0:
                    lane.depart()
            for caller in gathering.callers:
                caller.woken.set()


def _part(whole: Many[V], ids: tuple[str, ...]) -> Many[V]:
    """Return what one caller asked for."""
    return Many(
        found={key: whole.found[key] for key in ids if key in whole.found},
        missing=frozenset(key for key in ids if key in whole.missing),
        unknown={key: whole.unknown[key] for key in ids if key in whole.unknown},
    )


def _one_caller_may_be_guilty(own: Many[V]) -> bool:
    """A request that HubSpot calls invalid may be so by another caller's id."""
    errors = own.unknown.values()
    return any(isinstance(error, Refused) and error.status == 400 for error in errors)


def _unknown(ids: tuple[str, ...], message: str) -> Many[V]:
    return Many(found={}, unknown=dict.fromkeys(ids, Unavailable(message)))
