"""Records that a batch left out, asked for one by one.

By the id of a merged record a batch answers with the survivor, or says that there is no such
record; a single read certainly answers with the survivor (hubspot-facts, "A merged record"). So
what a batch does not know is asked once more, singly, where somebody asks who has proved who they
are, or our own background: nobody else may make us spend calls on ids they invent. What is not
there then either is not remembered: by an old id a batch never tells that its survivor is back.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final
from urllib.parse import urlencode

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError, LeftOut, NotFound
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.fan_out import FanOut
from hubspot_sync.wire.transport import Request, Transport

PROVEN: Final = frozenset({Priority.DESK, Priority.PEOPLE, Priority.BACKGROUND})
MAX_SILENT: Final = 20
"""An answer that says nothing of more than so many is broken: asking for each would not mend it."""
MAX_AT_ONCE: Final = 100
"""Of one read; of more that are gone the batch's word is taken this time."""


class SingleReads:
    """One process's single reads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def complete(
        self,
        object_type: str,
        read: Many[RawRecord],
        properties: Collection[str],
        history: Collection[str],
        context: CallContext,
        fan_out: FanOut,
        *,
        archived: bool = False,
    ) -> Many[RawRecord]:
        """Return a batch's outcome with what single reads say of the ids that it left out; it may
        be of a record with another id. With `archived`, only archived records are there."""
        silent = {key for key, error in read.unknown.items() if isinstance(error, LeftOut)}
        left_out = sorted(read.missing | (silent if len(silent) <= MAX_SILENT else set()))
        if context.priority not in PROVEN or len(left_out) == 0:
            return read
        asked = left_out[:MAX_AT_ONCE]
        query = {"properties": ",".join(properties), "propertiesWithHistory": ",".join(history)}
        query |= {"archived": "true"} if archived else {}
        tail = urlencode({name: names for name, names in query.items() if names != ""})
        outcomes = fan_out.run(
            [partial(self._read_one, object_type, key, tail, context) for key in asked]
        )
        said = dict(zip(asked, outcomes, strict=True))
        records = {key: one for key, one in said.items() if isinstance(one, RawRecord)}
        errors = {key: one for key, one in said.items() if isinstance(one, HubSpotError)}
        gone = {key for key, one in said.items() if one is None}
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
