"""Search: filters, sorts, pages, and results as they stood some time ago.

Archived records never appear, whatever the lag, and restored ones only after it. More than 10 000
results cannot be paged through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from hubspot_sync.sandbox.data.property_values import instant_ms, is_number
from hubspot_sync.sandbox.data.records import Properties, Record
from hubspot_sync.sandbox.data.schemas import ObjectType
from hubspot_sync.sandbox.endpoints.context import Sandbox, render_record
from hubspot_sync.sandbox.endpoints.object_batches import read_strings
from hubspot_sync.sandbox.messages import Refusal, Reply, Request, invalid

MAX_PAGE_SIZE = 200
MAX_RESULTS = 10_000
MAX_GROUPS = 5
MAX_FILTERS_IN_GROUP = 6
MAX_FILTERS = 18

Ordered = float | str
Test = Callable[[Properties], bool]


def search(sandbox: Sandbox, request: Request) -> Reply:
    """200 with a page of matches and how many there are; 400 past the window."""
    object_type = sandbox.type_of(request.names["type"])
    fields = request.fields
    if fields.get("query"):
        message = "The sandbox does not imitate search by query; use filters"
        raise Refusal(501, "NOT_IMITATED", message)
    groups = _parse_groups(object_type, fields.get("filterGroups") or [])
    limit, after = _parse_number(fields, "limit", 10), _parse_number(fields, "after", 0)
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise invalid(f"Invalid limit {limit}: it is 1 to {MAX_PAGE_SIZE}")
    if after + limit > MAX_RESULTS:
        raise invalid(f"Paging past {MAX_RESULTS} results is not possible (after {after})")
    names = read_strings(fields, "properties")
    found = [
        each
        for each in _indexed_records(sandbox, object_type)
        if not groups or any(all(test(each.properties) for test in group) for group in groups)
    ]
    _sort(object_type, found, fields.get("sorts") or [])
    end = after + min(limit, sandbox.config.search_page_max)
    body = {
        "total": len(found),
        "results": [render_record(each, object_type, names) for each in found[after:end]],
    }
    if end >= len(found):
        return Reply(200, body)
    return Reply(200, {**body, "paging": {"next": {"after": str(end)}}})


def _indexed_records(sandbox: Sandbox, object_type: ObjectType) -> list[Record]:
    """The live records as search knows them: as they stood a lag ago."""
    records = sandbox.store.records(object_type.type_id)
    at_ms = sandbox.clock.now_ms() - int(sandbox.config.search_lag_s * 1000)
    seen = []
    for record in records:
        if record.archived or record.restored_ms > at_ms:
            continue
        properties = record.as_of(at_ms)
        if properties is record.properties:
            seen.append(record)
        elif properties is not None:
            seen.append(replace(record, properties=properties))
    return seen


def _parse_number(fields: Mapping[str, Any], name: str, otherwise: int) -> int:
    raw = str(fields.get(name, otherwise))
    if not raw.isdigit():
        raise invalid(f"Invalid {name}: {raw}")
    return int(raw)


def _parse_groups(object_type: ObjectType, raw: Sequence[Mapping[str, Any]]) -> list[list[Test]]:
    sizes = [len(group.get("filters") or []) for group in raw]
    if len(sizes) > MAX_GROUPS:
        raise invalid(f"There are {len(sizes)} filter groups, the maximum is {MAX_GROUPS}")
    if any(size > MAX_FILTERS_IN_GROUP for size in sizes):
        raise invalid(f"A filter group has more than {MAX_FILTERS_IN_GROUP} filters")
    if sum(sizes) > MAX_FILTERS:
        raise invalid(f"There are {sum(sizes)} filters, the maximum is {MAX_FILTERS}")
    return [
        [_parse_filter(object_type, each) for each in group.get("filters") or []] for group in raw
    ]


def _parse_filter(object_type: ObjectType, raw: Mapping[str, Any]) -> Test:
    """One filter as a question to a record's properties."""
    name, operator = str(raw.get("propertyName")), str(raw.get("operator"))
    definition = object_type.properties.get(name)
    if definition is None:
        raise invalid(f"There was a problem with the request: property {name} does not exist")
    key = _KEYS.get(definition.type, str)
    if operator == "HAS_PROPERTY":
        return lambda properties: properties.get(name) is not None
    if operator == "NOT_HAS_PROPERTY":
        return lambda properties: properties.get(name) is None
    if operator in ("IN", "NOT_IN"):
        wanted = {key(each) for each in read_strings(raw, "values")}
        if not wanted:
            raise invalid(f"Operator {operator} needs values")
        inside = operator == "IN"
        return lambda properties: (
            (value := properties.get(name)) is not None and (key(value) in wanted) == inside
        )
    if operator not in _COMPARISONS:
        raise invalid(f"Invalid operator: {operator}")
    if raw.get("value") is None or (operator == "BETWEEN" and raw.get("highValue") is None):
        raise invalid(f"Operator {operator} needs a value")
    low, high = key(str(raw["value"])), key(str(raw.get("highValue", "")))
    compare = _COMPARISONS[operator]
    return lambda properties: (
        (value := properties.get(name)) is not None and compare(key(value), low, high)
    )


def _comparison_with_one(
    question: Callable[[Any, Any], bool],
) -> Callable[[Ordered, Ordered, Ordered], bool]:
    """A comparison with one value; values that cannot be compared do not match."""

    def ask(value: Ordered, low: Ordered, _high: Ordered) -> bool:
        return isinstance(value, str) == isinstance(low, str) and question(value, low)

    return ask


def _between(value: Ordered, low: Ordered, high: Ordered) -> bool:
    if not isinstance(value, str) == isinstance(low, str) == isinstance(high, str):
        return False
    return low <= value <= high  # type: ignore[operator]  # of one kind, as just asked


def _contains(value: Ordered, token: Ordered, _high: Ordered) -> bool:
    """Whether one word of the value is the token, `*` standing for anything."""
    words = re.findall(r"[^\s@.,;:]+", str(value).lower())
    return any(fnmatchcase(word, str(token).lower()) for word in [*words, str(value).lower()])


_COMPARISONS: dict[str, Callable[[Ordered, Ordered, Ordered], bool]] = {
    "EQ": _comparison_with_one(lambda value, wanted: value == wanted),
    "NEQ": _comparison_with_one(lambda value, wanted: value != wanted),
    "LT": _comparison_with_one(lambda value, wanted: value < wanted),
    "LTE": _comparison_with_one(lambda value, wanted: value <= wanted),
    "GT": _comparison_with_one(lambda value, wanted: value > wanted),
    "GTE": _comparison_with_one(lambda value, wanted: value >= wanted),
    "BETWEEN": _between,
    "CONTAINS_TOKEN": _contains,
}


def _number_key(value: str) -> Ordered:
    return float(value) if is_number(value) else value


def _instant_key(value: str) -> Ordered:
    instant = instant_ms(value)
    return value if instant is None else instant


_KEYS: dict[str, Callable[[str], Ordered]] = {
    "number": _number_key,
    "date": _instant_key,
    "datetime": _instant_key,
}


def _sort(object_type: ObjectType, found: list[Record], sorts: Sequence[Any]) -> None:
    """By one property, those without it last; oldest first where nothing is asked."""
    if len(sorts) > 1:
        raise invalid("Only one sort is possible")
    found.sort(key=lambda record: (record.created_ms, int(record.id)))
    if not sorts:
        return
    raw = sorts[0] if isinstance(sorts[0], Mapping) else {"propertyName": sorts[0]}
    name, direction = raw.get("propertyName"), raw.get("direction", "ASCENDING")
    if name not in object_type.properties or direction not in ("ASCENDING", "DESCENDING"):
        raise invalid(f"Invalid sort: {name} {direction}")
    key = _KEYS.get(object_type.properties[name].type, str)

    def place(record: Record) -> tuple[int, float, str]:
        value = key(record.properties[name] or "")
        return (1, 0.0, value) if isinstance(value, str) else (0, value, "")

    having = [each for each in found if each.properties.get(name) is not None]
    lacking = [each for each in found if each.properties.get(name) is None]
    having.sort(key=place, reverse=direction == "DESCENDING")
    found[:] = having + lacking
