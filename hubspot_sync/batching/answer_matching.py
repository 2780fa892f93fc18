"""Which record of a batch's answer is whose.

Results are matched by id, or by the unique property they were asked by, never by position. What was
asked for and is neither given nor named is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from hubspot_sync.batching.chunking import EMAIL, normal_key
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError, LeftOut
from hubspot_sync.portal.record_names import additional_emails_of, merged_ids_of
from hubspot_sync.wire.transport import Answer
from hubspot_sync.wire.verdicts import Meaning, judge_members

V = TypeVar("V")


def match_by_key(keys: Sequence[str], answer: Answer, id_property: str | None) -> Many[RawRecord]:
    """Sort a batch's answer: what was asked for and is neither given nor named is unknown. Where
    `keys` has several spellings of one key, a record is found under each.

    By the id of a merged record HubSpot finds its survivor, and a contact by its additional e-mails
    too: such a record comes back under another value than was asked for, and is found where it
    names the asked one. Else nobody has an asked e-mail as his own, and it is missing.
    """
    names = {key: normal_key(key, id_property) for key in keys}
    wanted = frozenset(names.values())
    given, strangers = _index_records(answer, wanted, id_property)
    found = {key: given[name] for key, name in names.items() if name in given}
    if len(found) == len(names):
        return Many(found=found)
    members = {
        _as_named(key, id_property): member
        for member in judge_members(answer.body)
        for key in member.ids
    }
    named = {key: members[name] for key in keys if (name := _as_named(key, id_property)) in members}
    absent = {key for key, member in named.items() if member.verdict.meaning is Meaning.MISSING}
    missing = {key for key in keys if key in absent and key not in found}
    unknown = {
        key: named[key].error if key in named else error_of_left_out(answer)
        for key in keys
        if key not in found and key not in missing
    }
    nameless = {names[key] for key in unknown}
    if id_property is not None and 0 < len(nameless) <= strangers and not unknown.keys() & named:
        return Many(found=found, missing=frozenset(missing | unknown.keys()))
    return Many(found=found, missing=frozenset(missing), unknown=unknown)


def _index_records(
    answer: Answer, wanted: frozenset[str], id_property: str | None
) -> tuple[Mapping[str, RawRecord], int]:
    """Return the answer's records by what was asked for, and how many go by none of it. Whoever has
    a name as its own wins over who has it besides."""
    own_names: dict[str, RawRecord] = {}
    further_names: dict[str, RawRecord] = {}
    strangers = 0
    for result in answer.results:
        record = RawRecord.from_json(result)
        if record is None:
            continue
        own, further = _names_of(record, id_property)
        known = wanted.intersection(further) if further else ()
        if own in wanted:
            own_names[own] = _older(record, own_names.get(own))
        for name in known:
            further_names[name] = _older(record, further_names.get(name))
        strangers += own not in wanted and len(known) == 0
    return further_names | own_names, strangers


def join_spellings(read: Many[RawRecord], spelled: Mapping[str, Sequence[str]]) -> Many[RawRecord]:
    """Return what was read by every spelling of each key by the keys themselves: unknown only where
    no spelling found a record and one is unknown."""
    found: dict[str, RawRecord] = {}
    missing: set[str] = set()
    unknown: dict[str, HubSpotError] = {}
    for key, spellings in spelled.items():
        for spelling in spellings:
            if spelling in read.found:
                found[key] = _older(read.found[spelling], found.get(key))
        errors = [read.unknown[each] for each in spellings if each in read.unknown]
        if key not in found and errors:
            unknown[key] = errors[0]
        elif key not in found:
            missing.add(key)
    return Many(found=found, missing=frozenset(missing), unknown=unknown)


def _older(record: RawRecord, other: RawRecord | None) -> RawRecord:
    """Of two records under one key, return the one that was there first; ids grow with time."""
    return record if other is None else min(record, other, key=lambda one: (len(one.id), one.id))


def _as_named(key: str, id_property: str | None) -> str:
    """Return a key as errors name it: HubSpot may repeat an e-mail as it would hold it, each letter
    in lower case. Two spellings of one e-mail stay two: each may be named for itself."""
    text = str(key).strip()
    return text.lower() if id_property == EMAIL else text


def _names_of(record: RawRecord, id_property: str | None) -> tuple[str, tuple[str, ...]]:
    """Return what a record is asked for by, and by what else it may have been asked for."""
    if id_property is None:
        return record.id, merged_ids_of(record.properties)
    own = normal_key(record.properties.get(id_property) or "", id_property)
    return own, additional_emails_of(record.properties) if id_property == EMAIL else ()


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
