"""Which record of a batch's answer is whose.

Results are matched by id, or by the unique property they were asked by, never by position. What was
asked for and is neither given nor named is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hubspot_sync.batching.chunking import normal_key
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError, LeftOut
from hubspot_sync.portal.merged_names import additional_emails_of, merged_ids_of
from hubspot_sync.wire.transport import Answer
from hubspot_sync.wire.verdicts import Meaning, judge_members

V = TypeVar("V")


def match_by_key(keys: Sequence[str], answer: Answer, id_property: str | None) -> Many[RawRecord]:
    """Sort a batch's answer: what was asked for and is neither given nor named is unknown.

    By the id of a merged record HubSpot finds its survivor, and a contact by its additional e-mails
    too: such a record comes back under another value than was asked for, and is found where it
    names the asked one. Else nobody has an asked e-mail as his own, and it is missing.
    """
    found: dict[str, RawRecord] = {}
    strangers = 0
    asked = frozenset(keys)
    records = [RawRecord.from_json(result) for result in answer.results]
    others: dict[str, RawRecord] = {}
    for record in records:
        if record is None:
            continue
        own, further = _names_of(record, id_property)
        if own in asked:
            found[own] = record
        known = asked.intersection(further)
        others.update(dict.fromkeys(known, record))
        strangers += own not in asked and len(known) == 0
    found = others | found
    named = {
        normal_key(key, id_property): member
        for member in judge_members(answer.body)
        for key in member.ids
    }
    absent = {key for key, member in named.items() if member.verdict.meaning is Meaning.MISSING}
    missing = {key for key in keys if key in absent and key not in found}
    unknown = {
        key: named[key].error if key in named else error_of_left_out(answer)
        for key in keys
        if key not in found and key not in missing
    }
    if id_property is not None and 0 < len(unknown) <= strangers and not unknown.keys() & named:
        return Many(found=found, missing=frozenset(missing | unknown.keys()))
    return Many(found=found, missing=frozenset(missing), unknown=unknown)


def _names_of(record: RawRecord, id_property: str | None) -> tuple[str, tuple[str, ...]]:
    """Return what a record is asked for by, and by what else it may have been asked for."""
    if id_property is None:
        return record.id, merged_ids_of(record.properties)
    own = normal_key(record.properties.get(id_property) or "", id_property)
    return own, additional_emails_of(record.properties) if id_property == "email" else ()


def match_archived(keys: Sequence[str], answer: Answer) -> Many[None]:
    """A 204 says all are archived; a 207 that all are but those it names."""
    if answer.status != 207:
        return Many(found=dict.fromkeys(keys))
    named = {key: member for member in judge_members(answer.body) for key in member.ids}
    nameless = [member.error for member in judge_members(answer.body) if len(member.ids) == 0]
    if len(nameless) > 0:
        return mark_unknown(keys, nameless[0])
    unknown = {
        key: named[key].error
        for key in keys
        if key in named and named[key].verdict.meaning is not Meaning.MISSING
    }
    return Many(found=dict.fromkeys(key for key in keys if key not in unknown), unknown=unknown)


def mark_unknown(keys: Sequence[str], error: HubSpotError) -> Many[V]:
    return Many(found={}, unknown=dict.fromkeys(keys, error))


def error_of_left_out(answer: Answer, *, took_effect: bool = False) -> LeftOut:
    return LeftOut(
        "HubSpot's answer left out a record asked for.",
        status=answer.status,
        may_have_taken_effect=took_effect,
    )
