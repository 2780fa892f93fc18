"""Records that a batch left out, asked for one by one.

By the id of a merged record a batch answers with the survivor, or says that there is no such
record; a single read certainly answers with the survivor (hubspot-facts, "A merged record"). So
what a batch does not know is asked once more, singly, where somebody asks who has proved who they
are, or our own background: nobody else may make us spend calls on ids they invent. What is not
there then either is remembered, and not asked singly again for a while.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError, LeftOut, NotFound
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.transport import Request, Transport

PROVEN: Final = frozenset({Priority.PEOPLE, Priority.BACKGROUND})
KEPT_S: Final = 600.0
"""A record that is gone is not merged any more, and one that comes back is in the next batch."""
MAX_KEPT: Final = 10_000
MAX_SILENT: Final = 20
"""An answer that says nothing of more than so many is broken: asking for each would not mend it."""
MAX_AT_ONCE: Final = 100
"""Of one read; of more that are gone the batch's word is taken this time."""

Name = tuple[str, str]
"""A record's type and its id."""


class SingleReads:
    """One process's single reads; `clock` counts seconds and never goes back."""

    def __init__(self, transport: Transport, clock: Monotonic) -> None:
        self._transport = transport
        self._gone = GoneRecords(clock)

    def complete(
        self,
        object_type: str,
        read: Many[RawRecord],
        properties: Collection[str],
        history: Collection[str],
        context: CallContext,
        fan_out: FanOut,
    ) -> Many[RawRecord]:
        """Return a batch's outcome with what single reads say of the ids that it left out; it may
        be of a record with another id."""
        silent = {key for key, error in read.unknown.items() if isinstance(error, LeftOut)}
        left_out = sorted(read.missing | (silent if len(silent) <= MAX_SILENT else set()))
        if context.priority not in PROVEN or len(left_out) == 0:
            return read
        asked = self._gone.without(object_type, left_out)[:MAX_AT_ONCE]
        query = {"properties": ",".join(properties), "propertiesWithHistory": ",".join(history)}
        tail = urlencode({name: names for name, names in query.items() if names != ""})
        outcomes = fan_out.run(
            [partial(self._read_one, object_type, key, tail, context) for key in asked]
        )
        said = dict(zip(asked, outcomes, strict=True))
        records = {key: one for key, one in said.items() if isinstance(one, RawRecord)}
        errors = {key: one for key, one in said.items() if isinstance(one, HubSpotError)}
        gone = {key for key, one in said.items() if one is None}
        self._gone.add(object_type, gone)
        others = {key: error for key, error in read.unknown.items() if key not in said}
        return Many(
            found={**read.found, **records},
            missing=(read.missing | gone) - records.keys() - errors.keys(),
            unknown={**others, **errors},
        )

    def _read_one(
        self, object_type: str, record_id: str, query: str, context: CallContext
    ) -> RawRecord | HubSpotError | None:
        """Return the record, None where there is none, the error where that is not known."""
        request = Request(
            operation=Operation.READ, object_type=object_type, tail=f"{record_id}?{query}"
        )
        try:
            record = RawRecord.from_json(self._transport.call(request, context).body)
        except NotFound:
            return None
        except HubSpotError as error:
            return error
        return record if record is not None else LeftOut("HubSpot's answer was no record.")


class GoneRecords:
    """Records that were not there when they were asked for singly; safe to share."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: OrderedDict[Name, float] = OrderedDict()

    def without(self, object_type: str, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that were not found to be gone lately."""
        now_s = self._clock()
        with self._lock:
            return [each for each in ids if self._until_s.get((object_type, each), now_s) <= now_s]

    def add(self, object_type: str, ids: Collection[str]) -> None:
        until_s = self._clock() + KEPT_S
        with self._lock:
            for each in ids:
                self._until_s[object_type, each] = until_s
                self._until_s.move_to_end((object_type, each))
            while len(self._until_s) > MAX_KEPT:
                self._until_s.popitem(last=False)
