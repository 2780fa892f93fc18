"""Following HubSpot's cursors to the end.

Searches are paged by the record id, ascending: each page asks for ids above the last one seen. So
more than the 10 000 results that offsets can reach are read too, and a record that appears or goes
while we read does not shift the others. Association reads are paged per `from` record: whoever has
more targets than a page holds is asked again with its own cursor, together with its like. A record
any page of which could not be read is unknown, never half counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError, Unavailable
from hubspot_sync.portal.property_values import means_any_of
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Answer, Request, Transport
from hubspot_sync.wire.verdicts import JsonObject, Meaning, judge_members

MAX_PER_SEARCH_PAGE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchFilter:
    """One condition of a search; `values` for IN and NOT_IN, `value` for the others."""

    property_name: str
    operator: str
    value: str | None = None
    values: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        shown: dict[str, Any] = {"propertyName": self.property_name, "operator": self.operator}
        if self.value is not None:
            shown["value"] = self.value
        if len(self.values) > 0:
            shown["values"] = list(self.values)
        return shown


@dataclass(frozen=True, kw_only=True, slots=True)
class WordFilter:
    """A condition that HubSpot cannot be asked for: the property is one of `words`, or says the
    same in another way. HubSpot gives the property, and we look."""

    property_name: str
    words: tuple[str, ...]

    def accepts(self, record: JsonObject) -> bool:
        properties = record.get("properties")
        value = properties.get(self.property_name) if isinstance(properties, Mapping) else None
        return means_any_of(str(value or "").strip(), self.words)


def search_ids(
    transport: Transport,
    object_type: str,
    filters: Sequence[SearchFilter],
    context: CallContext,
    words: WordFilter | None = None,
) -> tuple[str, ...]:
    """Return the ids of all records that match every filter, and `words` where that is given,
    ascending. At most five filters: a group holds six, and one is ours.

    Search lags behind by seconds, so the values must be read by id. Raises HubSpotError.
    """
    found: list[str] = []
    last_id = 0
    while True:
        request = _build_search(last_id, object_type, filters, words)
        answer = transport.call(request, context)
        records = [record for record in answer.results if "id" in record]
        page = [str(record["id"]) for record in records]
        found.extend(
            str(record["id"]) for record in records if words is None or words.accepts(record)
        )
        if _next_cursor(answer.body) is None:
            return tuple(found)
        highest = max((int(record_id) for record_id in page), default=0)
        if highest <= last_id:
            raise Unavailable("HubSpot's search pages do not advance.", status=answer.status)
        last_id = highest


def _build_search(
    last_id: int, object_type: str, filters: Sequence[SearchFilter], words: WordFilter | None
) -> Request:
    looked_at = [] if words is None else [words.property_name]
    above = SearchFilter(property_name="hs_object_id", operator="GT", value=str(last_id))
    conditions = [*filters, above] if last_id > 0 else list(filters)
    return Request(
        operation=Operation.SEARCH,
        object_type=object_type,
        body={
            "filterGroups": [{"filters": [condition.to_json() for condition in conditions]}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": ["hs_object_id", *looked_at],
            "limit": MAX_PER_SEARCH_PAGE,
        },
    )


def read_association_targets(
    transport: Transport,
    from_type: str,
    to_type: str,
    from_ids: Collection[str],
    context: CallContext,
) -> Many[tuple[str, ...]]:
    """Return the ids of what each of up to 1 000 records is linked to, every page followed."""
    targets: dict[str, dict[str, None]] = {}
    unknown: dict[str, HubSpotError] = {}
    cursors: dict[str, str | None] = dict.fromkeys(from_ids)
    followed: set[tuple[str, str]] = set()
    while cursors:
        request = _build_associations_request(from_type, to_type, cursors)
        try:
            answer = transport.call(request, context)
        except HubSpotError as error:
            unknown.update(dict.fromkeys(cursors, error))
            break
        following: dict[str, str | None] = {}
        failed = _collect_failures(answer, cursors)
        for from_id, linked, cursor in _iterate_pages(answer, cursors):
            targets.setdefault(from_id, {}).update(dict.fromkeys(linked))
            if cursor is None:
                continue
            if (from_id, cursor) in followed:
                failed[from_id] = Unavailable("HubSpot's association pages do not advance.")
            followed.add((from_id, cursor))
            following[from_id] = cursor
        unknown.update(failed)
        unknown.update(_mark_unmentioned(cursors, targets, failed))
        cursors = {key: cursor for key, cursor in following.items() if key not in unknown}
    found = {key: tuple(links) for key, links in targets.items() if key not in unknown}
    return Many(found=found, unknown=unknown)


def _build_associations_request(
    from_type: str, to_type: str, cursors: Mapping[str, str | None]
) -> Request:
    inputs = [
        {"id": from_id} if after is None else {"id": from_id, "after": after}
        for from_id, after in cursors.items()
    ]
    return Request(
        operation=Operation.ASSOCIATIONS_READ,
        object_type=from_type,
        to_type=to_type,
        body={"inputs": inputs},
    )


def _iterate_pages(
    answer: Answer, asked: Mapping[str, str | None]
) -> Iterator[tuple[str, list[str], str | None]]:
    """Yield each asked record's page and next cursor; "no associations" is an empty page.

    `toObjectId` is an integer in v4 and a string in the dated versions.
    """
    for result in answer.results:
        origin = result.get("from")
        from_id = str(origin.get("id")) if isinstance(origin, Mapping) else ""
        if from_id in asked:
            linked = [
                str(link["toObjectId"]) for link in result.get("to", ()) if "toObjectId" in link
            ]
            yield from_id, linked, _next_cursor(result)
    for member in judge_members(answer.body):
        if member.verdict.meaning is Meaning.ZERO:
            yield from ((from_id, [], None) for from_id in member.ids if from_id in asked)


def _collect_failures(answer: Answer, asked: Mapping[str, str | None]) -> dict[str, HubSpotError]:
    """Anything but "no associations" in a 207 means that we do not know (hubspot-facts)."""
    return {
        from_id: member.error
        for member in judge_members(answer.body)
        if member.verdict.meaning is not Meaning.ZERO
        for from_id in member.ids
        if from_id in asked
    }


def _mark_unmentioned(
    asked: Mapping[str, str | None],
    answered: Collection[str],
    failed: Collection[str],
) -> dict[str, HubSpotError]:
    silent = [key for key in asked if key not in answered and key not in failed]
    return {key: Unavailable("HubSpot's answer left out a record asked for.") for key in silent}


def _next_cursor(body: JsonObject) -> str | None:
    paging = body.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    after = following.get("after") if isinstance(following, Mapping) else None
    return None if after is None else str(after)
