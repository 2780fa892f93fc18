"""The association endpoints: paging per `from` object, and "none" told as an error.

Target ids are JSON integers in the legacy family and strings in the dated ones. Links to archived
objects are not shown. Told to lag, reads show the links as they stood that long ago. An old id of
a merged record is answered under the survivor's, or as one without links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubspot_sync.sandbox.data.links import Link
from hubspot_sync.sandbox.data.records import UnknownRecord
from hubspot_sync.sandbox.data.schemas import ObjectType
from hubspot_sync.sandbox.endpoints.context import Sandbox, input_ids, read_inputs, text_id
from hubspot_sync.sandbox.messages import (
    LEGACY,
    OBJECT_NOT_FOUND,
    Refusal,
    Reply,
    Request,
    batch_reply,
    invalid,
    not_found,
)

MAX_READ_INPUTS = 1000
MAX_WRITE_INPUTS = 2000
MAX_PAGE_SIZE = 500
NO_ASSOCIATIONS = "crm.associations.NO_ASSOCIATIONS_FOUND"


def batch_read(sandbox: Sandbox, request: Request) -> Reply:
    """200 with a page of targets for each `from`, or 207 naming those that have none."""
    from_type, to_type = _read_object_types(sandbox, request)
    inputs = read_inputs(request, MAX_READ_INPUTS)
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for asked, each in zip(input_ids(inputs), inputs, strict=True):
        from_id = asked
        if sandbox.config.batches_know_merged:
            from_id = sandbox.store.survivor_id(from_type.type_id, asked)
        after = _parse_cursor(each.get("after"))
        targets = _find_targets(sandbox, from_type, from_id, to_type, after)
        if targets or after:
            body = _render_page(sandbox, request, (from_type, to_type), targets)
            results.append({"from": {"id": from_id}, **body})
        else:
            errors.append(_no_associations_refusal(from_type, from_id, to_type).part())
    return batch_reply(200, results[::-1], sandbox.stamp(), errors)


def list_targets(sandbox: Sandbox, request: Request) -> Reply:
    """200 with a page of one object's targets, an empty one where there are none."""
    from_type, to_type = _read_object_types(sandbox, request)
    limit = request.query.get("limit", str(MAX_PAGE_SIZE))
    if not limit.isdigit() or not 1 <= int(limit) <= MAX_PAGE_SIZE:
        raise invalid(f"Invalid limit {limit}: it is 1 to {MAX_PAGE_SIZE}")
    from_id = sandbox.store.survivor_id(from_type.type_id, request.names["id"])
    if sandbox.store.get(from_type.type_id, from_id) is None:
        raise not_found()
    after = _parse_cursor(request.query.get("after"))
    targets = _find_targets(sandbox, from_type, from_id, to_type, after)
    body = _render_page(sandbox, request, (from_type, to_type), targets, int(limit))
    return Reply(200, {"results": body.pop("to"), **body})


def render_links(
    sandbox: Sandbox, from_type: ObjectType, from_id: str, to_types: Sequence[ObjectType]
) -> dict[str, Any]:
    """The links that a read of one object tells besides its properties, by what HubSpot calls the
    type; a type without links is left out, and with all of them where `reads_tell_links` is off."""
    if not sandbox.config.reads_tell_links:
        return {}
    links: dict[str, Any] = {}
    for to_type in to_types:
        targets = _find_targets(sandbox, from_type, from_id, to_type, 0)
        size = sandbox.config.association_page
        kind = f"{from_type.singular}_to_{to_type.singular}".lower().replace(" ", "_")
        results = [{"id": str(to_id), "type": kind} for to_id, _ in targets[:size]]
        if len(targets) > size:
            paging = {"next": {"after": str(targets[size - 1][0])}}
            links[_name_in_links(to_type)] = {"results": results, "paging": paging}
        elif len(results) > 0:
            links[_name_in_links(to_type)] = {"results": results}
    return links


def _name_in_links(to_type: ObjectType) -> str:
    return to_type.fully_qualified_name if to_type.custom else to_type.name.lower()


def batch_create(sandbox: Sandbox, request: Request) -> Reply:
    """201 with the links made, or 207 naming objects that do not exist."""
    from_type, to_type = _read_object_types(sandbox, request)
    inputs = read_inputs(request, MAX_WRITE_INPUTS)
    wanted = [
        (*_parse_ends(each), _parse_type_ids(sandbox, from_type, to_type, each)) for each in inputs
    ]
    results, errors = [], []
    for from_id, to_id, type_ids in wanted:
        if _associate(sandbox, from_type, from_id, to_type, to_id, type_ids):
            results.append(
                {
                    "fromObjectTypeId": from_type.type_id,
                    "fromObjectId": _wire_id(request, from_id),
                    "toObjectTypeId": to_type.type_id,
                    "toObjectId": _wire_id(request, to_id),
                    "labels": _label_names(sandbox, from_type, to_type, type_ids),
                }
            )
        else:
            errors.append(_unknown_record_error(from_id, to_id))
    return batch_reply(201, results, sandbox.stamp(), errors)


def batch_default(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the default links made, or 207 naming objects that do not exist."""
    from_type, to_type = _read_object_types(sandbox, request)
    ends = [_parse_ends(each) for each in read_inputs(request, MAX_WRITE_INPUTS)]
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for from_id, to_id in ends:
        if _associate(sandbox, from_type, from_id, to_type, to_id, ()):
            results += _render_both_directions(sandbox, (from_type, from_id), (to_type, to_id))
        else:
            errors.append(_unknown_record_error(from_id, to_id))
    return batch_reply(200, results, sandbox.stamp(), errors)


def associate_by_default(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the default link between two objects; 404 where one does not exist."""
    from_type, to_type = _read_object_types(sandbox, request)
    from_id, to_id = request.names["id"], request.names["to_id"]
    if not _associate(sandbox, from_type, from_id, to_type, to_id, ()):
        raise not_found()
    results = _render_both_directions(sandbox, (from_type, from_id), (to_type, to_id))
    return batch_reply(200, results, sandbox.stamp())


def batch_archive(sandbox: Sandbox, request: Request) -> Reply:
    """204; a link that was not there is no error."""
    from_type, to_type = _read_object_types(sandbox, request)
    for each in read_inputs(request, MAX_WRITE_INPUTS):
        from_id = text_id(each.get("from"))
        for target in each.get("to") or ():
            sandbox.store.dissociate(from_type.type_id, from_id, to_type.type_id, text_id(target))
    return Reply(204)


def list_labels(sandbox: Sandbox, request: Request) -> Reply:
    """200 with the ways the two types may be associated, seen from the first."""
    from_type, to_type = _read_object_types(sandbox, request)
    known = sandbox.store.labels(from_type.type_id, to_type.type_id)
    results = [
        {"category": each.category, "typeId": each.type_id, "label": each.label} for each in known
    ]
    return Reply(200, {"results": results})


def _read_object_types(sandbox: Sandbox, request: Request) -> tuple[ObjectType, ObjectType]:
    return sandbox.type_of(request.names["from"]), sandbox.type_of(request.names["to"])


def _parse_cursor(raw: object) -> int:
    if raw is None:
        return 0
    if not str(raw).isdigit():
        raise invalid(f"Invalid after: {raw}")
    return int(str(raw))


def _find_targets(
    sandbox: Sandbox, from_type: ObjectType, from_id: str, to_type: ObjectType, after: int
) -> list[tuple[int, Link]]:
    """The links that can be seen, by target id, from the cursor on."""
    store = sandbox.store
    if store.get(from_type.type_id, from_id) is None:
        return []
    at_ms = sandbox.clock.now_ms() - int(sandbox.config.association_lag_s * 1000)
    return sorted(
        (int(to_id), link)
        for to_id, link in store.links_of(from_type.type_id, from_id, to_type.type_id).items()
        if int(to_id) > after
        and link.is_visible_at(at_ms)
        and store.get(to_type.type_id, to_id) is not None
    )


def _render_page(
    sandbox: Sandbox,
    request: Request,
    pair: tuple[ObjectType, ObjectType],
    targets: Sequence[tuple[int, Link]],
    limit: int = MAX_PAGE_SIZE,
) -> dict[str, Any]:
    size = min(limit, sandbox.config.association_page)
    known = sandbox.store.labels(pair[0].type_id, pair[1].type_id)
    kinds = {
        each.type_id: {"category": each.category, "typeId": each.type_id, "label": each.label}
        for each in known
    }
    to = [
        {
            "toObjectId": _wire_id(request, str(to_id)),
            "associationTypes": [kinds[type_id] for type_id in link.type_ids],
        }
        for to_id, link in targets[:size]
    ]
    if len(targets) <= size:
        return {"to": to}
    return {"to": to, "paging": {"next": {"after": str(targets[size - 1][0])}}}


def _wire_id(request: Request, object_id: str) -> int | str:
    return int(object_id) if request.family == LEGACY else object_id


def _no_associations_refusal(from_type: ObjectType, from_id: str, to_type: ObjectType) -> Refusal:
    message = f"No {to_type.singular} is associated with {from_type.singular} {from_id}."
    return Refusal(
        207,
        OBJECT_NOT_FOUND,
        message,
        sub_category=NO_ASSOCIATIONS,
        context={
            "fromObjectId": [from_id],
            "fromObjectType": [from_type.type_id],
            "toObjectType": [to_type.type_id],
        },
    )


def _unknown_record_error(from_id: str, to_id: str) -> dict[str, Any]:
    context = {"fromObjectId": [from_id], "toObjectId": [to_id]}
    message = f"One of the objects {from_id}, {to_id} does not exist"
    return Refusal(207, OBJECT_NOT_FOUND, message, context=context).part()


def _parse_ends(raw: Mapping[str, Any]) -> tuple[str, str]:
    return text_id(raw.get("from")), text_id(raw.get("to"))


def _parse_type_ids(
    sandbox: Sandbox, from_type: ObjectType, to_type: ObjectType, raw: Mapping[str, Any]
) -> tuple[int, ...]:
    known = {
        (each.category, each.type_id)
        for each in sandbox.store.labels(from_type.type_id, to_type.type_id)
    }
    wanted = [
        (each.get("associationCategory"), each.get("associationTypeId"))
        for each in raw.get("types") or ()
    ]
    if not wanted or not known.issuperset(wanted):
        raise invalid(
            f"Invalid association types between {from_type.singular} and {to_type.singular}"
        )
    return tuple(type_id for _, type_id in wanted)


def _associate(
    sandbox: Sandbox,
    from_type: ObjectType,
    from_id: str,
    to_type: ObjectType,
    to_id: str,
    type_ids: tuple[int, ...],
) -> bool:
    """Link two objects; returns False where one does not exist, raises Refusal for types that
    cannot be linked."""
    try:
        sandbox.store.associate(
            from_type.type_id, from_id, to_type.type_id, to_id, type_ids=type_ids
        )
    except UnknownRecord:
        return False
    except KeyError as error:
        message = f"{from_type.singular} and {to_type.singular} cannot be associated"
        raise invalid(message) from error
    return True


def _label_names(
    sandbox: Sandbox, from_type: ObjectType, to_type: ObjectType, type_ids: tuple[int, ...]
) -> list[str]:
    known = sandbox.store.labels(from_type.type_id, to_type.type_id)
    return [each.label for each in known if each.type_id in type_ids and each.label is not None]


def _render_both_directions(
    sandbox: Sandbox, one: tuple[ObjectType, str], other: tuple[ObjectType, str]
) -> list[dict[str, Any]]:
    results = []
    for (here, here_id), (there, there_id) in ((one, other), (other, one)):
        first = sandbox.store.labels(here.type_id, there.type_id)[0]
        results.append(
            {
                "from": {"id": here_id},
                "to": {"id": there_id},
                "associationSpec": {
                    "associationCategory": first.category,
                    "associationTypeId": first.type_id,
                },
            }
        )
    return results
