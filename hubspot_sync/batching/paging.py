"""Following HubSpot's cursors to the end.

Searches are paged by the record id, ascending: each page asks for ids above the last one seen. So
more than the 10 000 results that offsets can reach are read too, and a record that appears or goes
while we read does not shift the others. Each page must be whole by its own `total`, which is what
remains above the last id: a page that lacks rows is no answer.

Association reads are paged per `from` record: whoever has more targets than a page holds is asked
again with its own cursor, together with its like. A record any page of which could not be read is
unknown, never half counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import as_record_id, record_id_of
from hubspot_sync.errors import HubSpotError, LeftOut, Unavailable
from hubspot_sync.portal.property_values import means_any_of
from hubspot_sync.wire.answer_shapes import total_of
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Answer, Request, Transport
from hubspot_sync.wire.verdicts import JsonObject, Meaning, judge_members

MAX_PER_SEARCH_PAGE = 200
MAX_FILTER_GROUPS = 5
"""Of a search; a group holds six filters, all of them eighteen (hubspot-facts, Search)."""


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


class _TotalChanged(Exception):
    """A page's total is not what the page before left over: records came or went meanwhile, or the
    index was not of one mind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WordFilter:
    """A condition that HubSpot cannot be asked for: the property is one of `words`, or says the
    same in another way. HubSpot gives the property, and we look."""

    property_name: str
    words: tuple[str, ...]

    def accepts(self, record: JsonObject) -> bool:
        return means_any_of(written_value(record, self.property_name), self.words)


def written_value(record: JsonObject, property_name: str) -> str:
    """Return a property's value as a row of a search has it, trimmed; empty where it has none."""
    properties = record.get("properties")
    value = properties.get(property_name) if isinstance(properties, Mapping) else None
    return str(value or "").strip()


def search_ids(
    transport: Transport,
    object_type: str,
    filters: Sequence[SearchFilter],
    context: CallContext,
    words: WordFilter | None = None,
) -> tuple[str, ...]:
    """Return the ids of all records that match every filter, and `words` where that is given,
    ascending. At most five filters: a group holds six, and one is ours.

    Search lags behind by seconds, so the values must be read by id. Raises HubSpotError, also for a
    search that is never whole.
    """
    looked_at = () if words is None else (words.property_name,)
    rows = search_rows(transport, object_type, [filters], context, looked_at)
    return tuple(
        record_id for record_id, row in rows.items() if words is None or words.accepts(row)
    )


def search_rows(
    transport: Transport,
    object_type: str,
    groups: Sequence[Sequence[SearchFilter]],
    context: CallContext,
    looked_at: Sequence[str] = (),
) -> dict[str, JsonObject]:
    """Return the rows, by their ids, ascending, of all records that match every filter of a group,
    with the properties `looked_at`, as they were some time ago. At most `MAX_FILTER_GROUPS`.

    Where the total changed between two pages all is read once more, and that reading is taken.
    Raises HubSpotError, also for a search that is never whole.
    """
    search = partial(_read_all_pages, transport, object_type, groups, context, looked_at)
    try:
        return search(steady=True)
    except _TotalChanged:
        return search(steady=False)


def _read_all_pages(
    transport: Transport,
    object_type: str,
    groups: Sequence[Sequence[SearchFilter]],
    context: CallContext,
    looked_at: Sequence[str],
    *,
    steady: bool,
) -> dict[str, JsonObject]:
    """Return the rows of every page; if it must be `steady`, raise _TotalChanged where it is
    not."""
    found: dict[str, JsonObject] = {}
    left_over: int | None = None
    last_id = 0
    while True:
        request = _build_search(last_id, object_type, groups, looked_at)
        body = transport.call(request, context).body
        page, total = _read_search_page(body), total_of(body) or 0
        if steady and left_over not in (None, total):
            raise _TotalChanged
        found |= page
        left_over = total - len(page)
        last_id = max(map(int, page), default=last_id)
        if len(page) == 0 or _next_cursor(body) is None:
            return found


def _read_search_page(body: JsonObject) -> dict[str, JsonObject]:
    """Return a page's rows by id; a row without one is left out."""
    ids = ((record_id_of(row), row) for row in body["results"])
    return {record_id: row for record_id, row in ids if record_id is not None}


def _is_whole_page(last_id: int, body: JsonObject) -> bool:
    """Whether a page has all rows it should have: as many as were asked for, or as there are, or as
    its own cursor says it ends at, each with an id, ascending from above the last page's."""
    rows, total = body.get("results"), total_of(body)
    if not isinstance(rows, list) or total is None:
        return False
    try:
        cursor = _next_cursor(body)
    except _UnreadableCursor:
        return False
    ids = [last_id, *map(int, _read_search_page(body))]
    due = min(MAX_PER_SEARCH_PAGE, total)
    if cursor is not None and cursor.isdecimal() and 0 < int(cursor) < due:
        due = int(cursor)
    return (
        len(rows) == len(ids) - 1 == due
        and (cursor is not None or due == total)
        and all(before < after for before, after in pairwise(ids))
    )


def _build_search(
    last_id: int,
    object_type: str,
    groups: Sequence[Sequence[SearchFilter]],
    looked_at: Sequence[str],
) -> Request:
    above = SearchFilter(property_name="hs_object_id", operator="GT", value=str(last_id))
    paged = (above,) if last_id > 0 else ()
    return Request(
        operation=Operation.SEARCH,
        object_type=object_type,
        body={
            "filterGroups": [
                {"filters": [condition.to_json() for condition in (*group, *paged)]}
                for group in groups
            ],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": ["hs_object_id", *looked_at],
            "limit": MAX_PER_SEARCH_PAGE,
        },
        accepts=partial(_is_whole_page, last_id),
    )


def read_association_targets(
    transport: Transport,
    from_type: str,
    to_type: str,
    from_ids: Collection[str],
    context: CallContext,
) -> Many[tuple[str, ...]]:
    """Return the ids of what each of up to 1 000 records is linked to, every page followed. Raises
    HubSpotError where nothing was answered; what fails later is unknown."""
    targets: dict[str, dict[str, None]] = {}
    unknown: dict[str, HubSpotError] = {}
    cursors: dict[str, str | None] = dict.fromkeys(from_ids)
    followed: set[tuple[str, str]] = set()
    while cursors:
        request = _build_associations_request(from_type, to_type, cursors)
        try:
            answer = transport.call(request, context)
        except HubSpotError as error:
            if len(followed) == 0:
                raise
            unknown.update(dict.fromkeys(cursors, error))
            break
        following: dict[str, str | None] = {}
        failed = _collect_failures(answer, cursors)
        answered = set()
        for from_id, linked, cursor in _iterate_pages(answer, cursors, failed):
            answered.add(from_id)
            targets.setdefault(from_id, {}).update(dict.fromkeys(linked))
            if cursor is None:
                continue
            if (from_id, cursor) in followed:
                failed[from_id] = Unavailable("HubSpot's association pages do not advance.")
            followed.add((from_id, cursor))
            following[from_id] = cursor
        unknown.update(failed)
        unknown.update(_mark_unmentioned(cursors, answered, failed))
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
    answer: Answer, asked: Mapping[str, str | None], failed: dict[str, HubSpotError]
) -> Iterator[tuple[str, list[str], str | None]]:
    """Yield each asked record's page and next cursor; "no associations" is an empty page. A page
    that cannot be read fails its record."""
    for result in answer.results:
        from_id = record_id_of(result.get("from"))
        if from_id is None or from_id not in asked:
            continue
        linked = _read_targets(result.get("to"))
        try:
            cursor = _next_cursor(result)
        except _UnreadableCursor:
            linked, cursor = None, None
        if linked is None:
            failed[from_id] = Unavailable("HubSpot's answer had links that cannot be read.")
        else:
            yield from_id, linked, cursor
    for member in judge_members(answer.body):
        if member.verdict.meaning is Meaning.ZERO:
            yield from ((from_id, [], None) for from_id in member.ids if from_id in asked)


def _read_targets(links: object) -> list[str] | None:
    """Return the ids that `to` names, None unless it is a list of links and nothing else.

    `toObjectId` is an integer in v4 and a string in the dated versions.
    """
    if not isinstance(links, list):
        return None
    targets = [
        as_record_id(link.get("toObjectId")) if isinstance(link, dict) else None for link in links
    ]
    readable = [target for target in targets if target is not None]
    return readable if len(readable) == len(links) else None


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
    return {key: LeftOut("HubSpot's answer left out a record asked for.") for key in silent}


class _UnreadableCursor(Exception):
    """There is a next page, and no telling where."""


def _next_cursor(body: JsonObject) -> str | None:
    """Return where the next page begins, None at the end; raises _UnreadableCursor."""
    following = body.get("paging")
    if following is None:
        return None
    for key in ("next", "after"):
        if not isinstance(following, dict):
            raise _UnreadableCursor
        following = following.get(key)
        if following is None:
            return None
    if not isinstance(following, str | int):
        raise _UnreadableCursor
    return str(following)
