"""Links asked for by the id of a merged record: the survivor's.

HubSpot answers with them under the survivor's id, or as for a record without links. What an answer
says nothing of is looked up here: a record that is gone, as a survivor that was deleted is by every
id, has no links. Whether a record without links was merged, whoever has reason to doubt it asks,
for most have none.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import LeftOut
from hubspot_sync.wire.call_context import CallContext

Ids = tuple[str, ...]


class LinkReads(Protocol):
    """What is asked: the batch client, or the coalescer in front of it."""

    def read(
        self,
        object_type: str,
        ids: Collection[str],
        *,
        properties: Collection[str],
        context: CallContext,
    ) -> Many[RawRecord]: ...

    def read_associations(
        self, from_type: str, to_type: str, ids: Collection[str], *, context: CallContext
    ) -> Many[Ids]: ...


def read_links(
    reads: LinkReads,
    from_type: str,
    to_type: str,
    ids: Collection[str],
    context: CallContext,
    *,
    doubts_none: bool = False,
) -> Many[Ids]:
    """Return the ids of all records each is linked to, of a merged record the survivor's; with
    `doubts_none` a record without links is looked up too."""
    read = reads.read_associations(from_type, to_type, ids, context=context)
    doubtful = {key for key, error in read.unknown.items() if isinstance(error, LeftOut)}
    if doubts_none:
        doubtful |= {key for key, linked in read.found.items() if len(linked) == 0}
    if len(doubtful) == 0:
        return read
    records = reads.read(from_type, doubtful, properties=(), context=context)
    gone: Many[Ids] = Many(found=dict.fromkeys(records.missing, ()))
    read = merge((read.without(records.missing), gone))
    survivors = {key: record.id for key, record in records.found.items() if record.id != key}
    if len(survivors) == 0:
        return read
    again = reads.read_associations(from_type, to_type, set(survivors.values()), context=context)
    return merge((read.without(survivors), again.renamed(survivors)))
