"""The endpoints of one object: read, list, create, update, archive."""

from __future__ import annotations

from hubspot_sync.sandbox.data.property_values import check_rules, normalize_value, parse_properties
from hubspot_sync.sandbox.data.records import APP, UnknownRecord
from hubspot_sync.sandbox.endpoints.associations import render_links
from hubspot_sync.sandbox.endpoints.context import Sandbox, render_record, text_id
from hubspot_sync.sandbox.endpoints.object_batches import (
    check_rules_of_new,
    check_unique_values,
    create_record,
    find_asked,
    find_record,
    parse_draft,
    update_record,
)
from hubspot_sync.sandbox.messages import Refusal, Reply, Request, invalid, not_found

MAX_PAGE_SIZE = 100


def read(sandbox: Sandbox, request: Request) -> Reply:
    """200, or 404 for an unknown id; an archived one only with `archived=true`."""
    object_type = sandbox.type_of(request.names["type"])
    to_types = [sandbox.type_of(name) for name in _split_names(request, "associations")]
    id_property = request.query.get("idProperty")
    key = request.names["id"]
    if id_property is not None:
        key = normalize_value(object_type, id_property, key) or ""
    archived = request.query.get("archived") == "true"
    if id_property is None:
        key = sandbox.store.survivor_id(object_type.type_id, key)
    record = find_record(sandbox, object_type, key, id_property, archived)
    if record is None:
        raise not_found()
    names, history = (
        _split_names(request, "properties"),
        _split_names(request, "propertiesWithHistory"),
    )
    limit = sandbox.config.history_limit
    body = render_record(record, object_type, names, history, limit)
    links = render_links(sandbox, object_type, record.id, to_types)
    return Reply(200, body if len(links) == 0 else {**body, "associations": links})


def list_page(sandbox: Sandbox, request: Request) -> Reply:
    """A page of all objects by id, at most a hundred."""
    object_type = sandbox.type_of(request.names["type"])
    _refuse_associations(request)
    limit, after = _parse_number(request, "limit", 10), _parse_number(request, "after", 0)
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise invalid(f"Invalid limit {limit}: it is 1 to {MAX_PAGE_SIZE}")
    archived = request.query.get("archived") == "true"
    live = (
        each for each in sandbox.store.records(object_type.type_id) if each.archived == archived
    )
    rest = sorted((each for each in live if int(each.id) > after), key=lambda each: int(each.id))
    names = _split_names(request, "properties")
    body = {"results": [render_record(each, object_type, names) for each in rest[:limit]]}
    if len(rest) <= limit:
        return Reply(200, body)
    return Reply(200, {**body, "paging": {"next": {"after": rest[limit - 1].id}}})


def create(sandbox: Sandbox, request: Request) -> Reply:
    """201 with the object, its associations made with it."""
    object_type = sandbox.type_of(request.names["type"])
    with sandbox.store.lock:
        draft = parse_draft(sandbox, object_type, request.fields)
        check_unique_values(sandbox, object_type, [(None, draft.properties)])
        check_rules_of_new(sandbox, request, object_type, draft)
        return Reply(201, create_record(sandbox, object_type, draft))


def update(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the object as written; 404 for one that is not there."""
    object_type = sandbox.type_of(request.names["type"])
    id_property = request.query.get("idProperty")
    with sandbox.store.lock:
        record = find_asked(sandbox, object_type, request.names["id"], id_property)
        if record is None:
            raise not_found()
        properties = parse_properties(object_type, request.fields.get("properties"))
        rules = sandbox.config.validation_rules
        check_rules(rules, request.family, object_type.type_id, properties, new=False)
        return Reply(200, update_record(sandbox, object_type, record.id, properties))


def merge(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the survivor, which keeps its id; 404 where one of the two is not there."""
    object_type = sandbox.type_of(request.names["type"])
    ids = [request.fields.get(name) for name in ("primaryObjectId", "objectIdToMerge")]
    survivor_id, other_id = (text_id({"id": each}) for each in ids)
    if survivor_id == other_id:
        raise invalid("An object cannot be merged with itself")
    try:
        record = sandbox.store.merge(object_type.type_id, survivor_id, other_id, source=APP)
    except UnknownRecord as error:
        raise not_found() from error
    return Reply(200, render_record(record, object_type, list(record.properties)))


def archive(sandbox: Sandbox, request: Request) -> Reply:
    """204, also for what is already gone."""
    object_type = sandbox.type_of(request.names["type"])
    sandbox.store.archive(object_type.type_id, request.names["id"])
    return Reply(204)


def _split_names(request: Request, name: str) -> list[str]:
    return [each for each in request.query.get(name, "").split(",") if each]


def _parse_number(request: Request, name: str, otherwise: int) -> int:
    raw = request.query.get(name, str(otherwise))
    if not raw.isdigit():
        raise invalid(f"Invalid {name}: {raw}")
    return int(raw)


def _refuse_associations(request: Request) -> None:
    if "associations" in request.query:
        message = "The sandbox does not imitate associations=… on lists; use the association reads"
        raise Refusal(501, "NOT_IMITATED", message)
