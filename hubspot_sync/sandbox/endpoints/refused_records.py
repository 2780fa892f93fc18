"""Records that HubSpot will not have in a call: whatever names one of them is refused whole.

Why HubSpot does so is not imitated: a value its own checks dislike now, a workflow, a lock.
What matters is that the answer is for all hundred inputs, and as a rule names no culprit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hubspot_sync.sandbox.config import RefusedRecord
from hubspot_sync.sandbox.data.property_values import normalize_value
from hubspot_sync.sandbox.data.schemas import ObjectType
from hubspot_sync.sandbox.endpoints.context import Sandbox, text_id
from hubspot_sync.sandbox.messages import Refusal, Request

Named = tuple[str, str]  # type id, record id


def check_refused_records(sandbox: Sandbox, request: Request) -> None:
    """Raise Refusal where the call names a record that is refused in calls of its kind."""
    refused = {
        (each.object_type, each.id): each
        for each in sandbox.config.refused_records
        if re.fullmatch(each.operations, request.operation)
    }
    if not refused:
        return
    found = next((refused[each] for each in _find_named(sandbox, request) if each in refused), None)
    if found is not None:
        raise _refusal(found)


def _refusal(found: RefusedRecord) -> Refusal:
    context = {"ids": [found.id]} if found.named else None
    return Refusal(found.status, found.category, found.message, context=context)


def _find_named(sandbox: Sandbox, request: Request) -> Iterator[Named]:
    """Every record that the call reads, writes or links, as far as it can be told."""
    if request.operation.startswith("associations."):
        yield from _find_ends(sandbox, request)
        return
    if not request.operation.startswith("objects."):
        return
    object_type = sandbox.type_of(request.names["type"])
    fields = request.body if isinstance(request.body, Mapping) else {}
    if "id" in request.names:
        id_property = request.query.get("idProperty")
        yield _resolve(sandbox, object_type, request.names["id"], id_property)
    for each in _maps(fields.get("inputs")):
        if "id" in each:
            id_property = each.get("idProperty", fields.get("idProperty"))
            yield _resolve(sandbox, object_type, text_id(each), id_property)
    for each in (fields, *_maps(fields.get("inputs"))):
        yield from _find_targets(sandbox, object_type, each)


def _resolve(sandbox: Sandbox, object_type: ObjectType, key: str, id_property: str | None) -> Named:
    if id_property is None:
        return object_type.type_id, key
    value = normalize_value(object_type, id_property, key) or ""
    record = sandbox.store.find(object_type.type_id, id_property, value)
    return object_type.type_id, "" if record is None else record.id


def _find_targets(
    sandbox: Sandbox, object_type: ObjectType, raw: Mapping[str, Any]
) -> Iterator[Named]:
    """The records that a new one is to be linked to."""
    for link in _maps(raw.get("associations")):
        for kind in _maps(link.get("types")):
            category = str(kind.get("associationCategory"))
            type_id: Any = kind.get("associationTypeId")
            to_type = sandbox.store.association_target(object_type.type_id, category, type_id)
            if to_type is not None:
                yield to_type, text_id(link.get("to"))


def _find_ends(sandbox: Sandbox, request: Request) -> Iterator[Named]:
    from_type = sandbox.type_of(request.names["from"]).type_id
    to_type = sandbox.type_of(request.names["to"]).type_id
    if "id" in request.names:
        yield from_type, request.names["id"]
    if "to_id" in request.names:
        yield to_type, request.names["to_id"]
    fields = request.body if isinstance(request.body, Mapping) else {}
    for each in _maps(fields.get("inputs")):
        yield from_type, text_id(each if "id" in each else each.get("from"))
        targets = each.get("to")
        for target in _maps(targets if isinstance(targets, list) else [targets]):
            yield to_type, text_id(target)


def _maps(raw: object) -> Iterable[Mapping[str, Any]]:
    """The objects of a list, none where it is no list: the endpoint has its own words for that."""
    return [each for each in raw if isinstance(each, Mapping)] if isinstance(raw, list) else []
