"""The batch endpoints of objects: their limits, their refusals, their 207s.

A batch is checked as a whole before anything is written. A unique conflict or a broken validation
rule refuses it whole; other faults of single inputs do too, unless every input of a create carries
its own trace id. Results come in an order of their own, never that of the inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubspot_sync.sandbox.data.property_values import check_rules, normalize_value, parse_properties
from hubspot_sync.sandbox.data.records import Record, UniqueConflict, UnknownRecord
from hubspot_sync.sandbox.data.schemas import CONTACTS, ObjectType
from hubspot_sync.sandbox.endpoints.context import (
    Sandbox,
    input_ids,
    read_inputs,
    render_record,
    text_id,
)
from hubspot_sync.sandbox.messages import (
    OBJECT_NOT_FOUND,
    Refusal,
    Reply,
    Request,
    batch_reply,
    invalid,
)

MAX_INPUTS = 100
MAX_INPUTS_WITH_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Draft:
    """A record about to be made: its values, its links as (type, id, association type)."""

    properties: dict[str, str | None]
    links: tuple[tuple[str, str, int], ...] = ()
    trace_id: str | None = None


def batch_read(sandbox: Sandbox, request: Request) -> Reply:
    """200 with every record asked for, or 207 with those there are and the ids of the others."""
    object_type = sandbox.type_of(request.names["type"])
    history = read_strings(request.fields, "propertiesWithHistory")
    inputs = read_inputs(request, MAX_INPUTS_WITH_HISTORY if history else MAX_INPUTS)
    names = read_strings(request.fields, "properties")
    asked = input_ids(inputs)
    archived = request.query.get("archived") == "true"
    id_property = request.fields.get("idProperty")
    keys = asked
    if id_property is not None:
        keys = input_ids(
            [{"id": normalize_value(object_type, id_property, each)} for each in asked]
        )
    found = {
        each: find_asked(sandbox, object_type, key, id_property, archived)
        for each, key in zip(asked, keys, strict=True)
    }
    # Once, where it was asked for by an old id as well.
    there = {record.id: record for record in found.values() if record is not None}
    results = [
        render_record(record, object_type, names, history, sandbox.config.history_limit)
        for record in reversed(there.values())
    ]
    missing = [each for each, record in found.items() if record is None]
    return batch_reply(200, results, sandbox.stamp(), _not_found_errors(object_type, missing))


def batch_create(sandbox: Sandbox, request: Request) -> Reply:
    """201 with all made, or 207 where every input has a trace id and some are wrong."""
    object_type = sandbox.type_of(request.names["type"])
    inputs = read_inputs(request, MAX_INPUTS)
    with sandbox.store.lock:
        drafts, errors = _parse_drafts(sandbox, object_type, inputs)
        check_unique_values(sandbox, object_type, [(None, draft.properties) for draft in drafts])
        for draft in drafts:
            check_rules_of_new(sandbox, request, object_type, draft)
        results = [create_record(sandbox, object_type, draft) for draft in drafts]
    return batch_reply(201, results[::-1], sandbox.stamp(), errors)


def batch_update(sandbox: Sandbox, request: Request) -> Reply:
    """200 with all written, or 207 with the ids that do not exist."""
    object_type = sandbox.type_of(request.names["type"])
    inputs = read_inputs(request, MAX_INPUTS)
    asked = input_ids(inputs)
    with sandbox.store.lock:
        writes = []
        missing = []
        for key, each in zip(asked, inputs, strict=True):
            record = find_asked(sandbox, object_type, key, each.get("idProperty"))
            properties = parse_properties(object_type, each.get("properties"))
            check_rules(
                sandbox.config.validation_rules,
                request.family,
                object_type.type_id,
                properties,
                new=False,
            )
            if record is None:
                missing.append(key)
            else:
                writes.append((record.id, properties))
        check_unique_values(sandbox, object_type, writes)
        results = [update_record(sandbox, object_type, *each) for each in writes]
    return batch_reply(200, results[::-1], sandbox.stamp(), _not_found_errors(object_type, missing))


def batch_upsert(sandbox: Sandbox, request: Request) -> Reply:
    """200 with each record written or made, `new` saying which."""
    object_type = sandbox.type_of(request.names["type"])
    inputs = read_inputs(request, MAX_INPUTS)
    asked = input_ids(inputs)
    results = []
    with sandbox.store.lock:
        plans = []
        for key, each in zip(asked, inputs, strict=True):
            if "associations" in each:
                raise invalid("Invalid input: an upsert takes no associations")
            id_property = each.get("idProperty")
            if not isinstance(id_property, str):
                raise invalid("Invalid input: an upsert needs the idProperty of a unique property")
            record = find_record(sandbox, object_type, key, id_property)
            own = {id_property: key, **(each.get("properties") or {})}
            draft = Draft(parse_properties(object_type, own), (), each.get("objectWriteTraceId"))
            if record is None:
                check_rules_of_new(sandbox, request, object_type, draft)
            plans.append((record, draft))
        check_unique_values(
            sandbox,
            object_type,
            [(None if record is None else record.id, draft.properties) for record, draft in plans],
        )
        for record, draft in plans:
            if record is None:
                body = create_record(sandbox, object_type, draft)
            else:
                body = update_record(sandbox, object_type, record.id, draft.properties)
            results.append({**body, "new": record is None})
    return batch_reply(200, results[::-1], sandbox.stamp())


def batch_archive(sandbox: Sandbox, request: Request) -> Reply:
    """204; what was archived already, or never was, is no error."""
    object_type = sandbox.type_of(request.names["type"])
    for each in input_ids(read_inputs(request, MAX_INPUTS)):
        sandbox.store.archive(object_type.type_id, each)
    return Reply(204)


def find_record(
    sandbox: Sandbox,
    object_type: ObjectType,
    key: str,
    id_property: str | None = None,
    archived: bool = False,
) -> Record | None:
    """A record by id or by a unique property; with `archived`, among the archived ones alone."""
    type_id = object_type.type_id
    if id_property is None or id_property == "hs_object_id":
        record = sandbox.store.get(type_id, key, archived=archived)
        return record if record is None or record.archived == archived else None
    definition = object_type.properties.get(id_property)
    if definition is None or not definition.unique:
        raise invalid(f"Property {id_property} is not a unique property of {object_type.singular}")
    return sandbox.store.find(type_id, id_property, key)


def find_asked(
    sandbox: Sandbox,
    object_type: ObjectType,
    key: str,
    id_property: str | None = None,
    archived: bool = False,
) -> Record | None:
    """The same for a batch: by the id of a merged record its survivor, or nothing, as told."""
    if id_property is None and sandbox.config.batches_know_merged:
        key = sandbox.store.survivor_id(object_type.type_id, key)
    return find_record(sandbox, object_type, key, id_property, archived)


def read_strings(fields: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts in a body, empty if absent; raises Refusal for anything else."""
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid(f"Invalid input JSON: {name} must be a list of strings")
    return value


def check_unique_values(
    sandbox: Sandbox,
    object_type: ObjectType,
    writes: Iterable[tuple[str | None, Mapping[str, str | None]]],
) -> None:
    """Raise a 409 where a unique value belongs to another record, or to two of these."""
    unique = [each.name for each in object_type.properties.values() if each.unique]
    within: set[tuple[str, str]] = set()
    for record_id, properties in writes:
        for name in unique:
            value = properties.get(name)
            if value is None:
                continue
            holder = sandbox.store.find(object_type.type_id, name, value)
            if holder is not None and holder.id != record_id:
                raise conflict(object_type, name, holder.id)
            if (name, value) in within:
                raise conflict(object_type, name, "in this batch")
            within.add((name, value))


def conflict(object_type: ObjectType, name: str, holder: str) -> Refusal:
    if object_type.type_id == CONTACTS:
        message = f"Contact already exists. Existing ID: {holder}"
    else:
        message = (
            f"A {object_type.singular} with this value of {name} already exists. "
            f"Existing ID: {holder}"
        )
    return Refusal(409, "CONFLICT", message)


def check_rules_of_new(
    sandbox: Sandbox, request: Request, object_type: ObjectType, draft: Draft
) -> None:
    """Raise a 400 where a new record breaks an administrator's rule."""
    check_rules(
        sandbox.config.validation_rules,
        request.family,
        object_type.type_id,
        draft.properties,
        new=True,
    )


def parse_draft(sandbox: Sandbox, object_type: ObjectType, raw: Mapping[str, Any]) -> Draft:
    """One input of a create, checked; raises Refusal."""
    properties = parse_properties(object_type, raw.get("properties"))
    links: list[tuple[str, str, int]] = []
    for each in raw.get("associations") or ():
        to_id = text_id(each.get("to"))
        for kind in each.get("types") or ():
            type_id = kind.get("associationTypeId")
            to_type = sandbox.store.association_target(
                object_type.type_id, str(kind.get("associationCategory")), type_id
            )
            if to_type is None:
                raise invalid(f"Invalid association type {type_id} for {object_type.singular}")
            if sandbox.config.batches_know_merged:
                to_id = sandbox.store.survivor_id(to_type, to_id)
            if sandbox.store.get(to_type, to_id) is None:
                message = f"Association target {to_id} does not exist"
                raise Refusal(400, OBJECT_NOT_FOUND, message, context={"ids": [to_id]})
            links.append((to_type, to_id, type_id))
    return Draft(properties, tuple(links), raw.get("objectWriteTraceId"))


def create_record(sandbox: Sandbox, object_type: ObjectType, draft: Draft) -> dict[str, Any]:
    """Make a checked draft and its links; returns what is shown of it."""
    record = sandbox.store.create(object_type.type_id, draft.properties, source=sandbox.source)
    for to_type, to_id, type_id in draft.links:
        sandbox.store.associate(object_type.type_id, record.id, to_type, to_id, type_ids=(type_id,))
    body = render_record(record, object_type, list(draft.properties))
    return body if draft.trace_id is None else {**body, "objectWriteTraceId": draft.trace_id}


def update_record(
    sandbox: Sandbox, object_type: ObjectType, record_id: str, properties: dict[str, str | None]
) -> dict[str, Any]:
    """Write a record; raises Refusal where it vanished or a value is taken."""
    try:
        record = sandbox.store.update(
            object_type.type_id, record_id, properties, source=sandbox.source
        )
    except UniqueConflict as error:
        raise conflict(object_type, error.name, error.holder_id) from error
    except UnknownRecord as error:
        raise Refusal(404, OBJECT_NOT_FOUND, "resource not found") from error
    return render_record(record, object_type, list(properties))


def _parse_drafts(
    sandbox: Sandbox, object_type: ObjectType, inputs: Sequence[Mapping[str, Any]]
) -> tuple[list[Draft], list[dict[str, Any]]]:
    """The drafts that can be made and the errors of the others; raises the first error where one
    input has no trace id."""
    traced = all(isinstance(each.get("objectWriteTraceId"), str) for each in inputs)
    drafts: list[Draft] = []
    errors: list[dict[str, Any]] = []
    for each in inputs:
        try:
            drafts.append(parse_draft(sandbox, object_type, each))
        except Refusal as refusal:
            if not traced:
                raise
            context = {"objectWriteTraceId": [each["objectWriteTraceId"]]}
            errors.append({**refusal.part(), "context": context})
    return drafts, errors


def _not_found_errors(object_type: ObjectType, ids: Sequence[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    message = (
        f"Could not get some {object_type.singular.upper()} objects, they may be deleted or not "
        "exist. Check that ids are valid."
    )
    return [Refusal(207, OBJECT_NOT_FOUND, message, context={"ids": ids}).part()]
