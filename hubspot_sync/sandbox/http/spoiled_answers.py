"""Answers that are none, on order: what comes out of HubSpot or its edge where the work was done.

A spoilt answer keeps its status, so a 200 with nothing in it stays a 200; the work behind it has
had its effect. A refusal is left as it is, and so is an answer that has nothing to spoil in that
way: `no_rows` does nothing to an answer without `results`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hubspot_sync.sandbox.messages import Reply

HTML = "text/html; charset=UTF-8"
PLAIN = "text/plain; charset=UTF-8"
FIRST_REFUSAL = 400
# Cloudflare's own statuses, before HubSpot; the titles are those of its error pages.
EDGE_TITLES = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    524: "A timeout occurred",
    525: "SSL handshake failed",
    526: "Invalid SSL certificate",
    527: "Railgun Listener to origin error",
    530: "Origin DNS error",
}

Answer = dict[str, Any]


def edge_reply(status: int, headers: Mapping[str, str]) -> Reply:
    """One of the edge's own errors, `EDGE_TITLES`, as its page."""
    page = _page(f"api.hubapi.com | {status}: {EDGE_TITLES[status]}")
    return Reply(status, headers=headers, raw=page, content_type=HTML)


def spoil(reply: Reply, how: str, number: int) -> Reply:
    """Return the answer as ordered; `how` is one of `WAYS`, `number` its rows or difference."""
    if reply.status >= FIRST_REFUSAL:
        return reply
    if how in _WHOLE:
        return _WHOLE[how](reply)
    if not isinstance(reply.body, dict):
        return reply
    return replace(reply, body=_PARTS[how](dict(reply.body), number))


# The whole answer


def _page(title: str) -> bytes:
    return (
        f"<!DOCTYPE html>\n<html lang=en><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1></body></html>\n"
    ).encode()


def _cut_json(reply: Reply) -> Reply:
    raw = json.dumps(reply.body).encode()
    return replace(reply, raw=raw[: len(raw) // 2])


def _bad_utf8(reply: Reply) -> Reply:
    """Bytes of no UTF-8 in a text beside the rest, which is whole."""
    raw = json.dumps(reply.body).encode()
    return replace(reply, raw=b'{"message": "\xff\xed\xa0\xbd", ' + raw[1:])


_WHOLE: Mapping[str, Callable[[Reply], Reply]] = {
    "no_body": lambda reply: replace(reply, raw=b""),
    "cut_json": _cut_json,
    "bad_utf8": _bad_utf8,
    "null": lambda reply: replace(reply, raw=b"null"),
    "list": lambda reply: replace(reply, raw=b"[]"),
    "text": lambda reply: replace(reply, raw=b"upstream error", content_type=PLAIN),
    "html": lambda reply: replace(reply, raw=_page("Down for maintenance"), content_type=HTML),
}


# Parts of it


def _change_rows(change: Callable[[list[Answer]], list[Any]]) -> Callable[[Answer, int], Answer]:
    def apply(body: Answer, _number: int) -> Answer:
        rows = body.get("results")
        return {**body, "results": change(rows)} if isinstance(rows, list) else body

    return apply


def _drop_last_rows(body: Answer, number: int) -> Answer:
    rows = body.get("results")
    if not isinstance(rows, list):
        return body
    return {**body, "results": rows[: max(0, len(rows) - number)]}


def _change_total(body: Answer, number: int) -> Answer:
    return {**body, "total": body["total"] + number} if "total" in body else body


def _without(name: str) -> Callable[[Answer, int], Answer]:
    return lambda body, _number: {key: value for key, value in body.items() if key != name}


def _without_id(row: Answer) -> Answer:
    properties = {**row.get("properties", {})}
    properties.pop("hs_object_id", None)
    return {**{key: value for key, value in row.items() if key != "id"}, "properties": properties}


def _sub_categories_as_objects(body: Answer, _number: int) -> Answer:
    """As the specification has them; on the wire they are texts."""
    errors = [
        {**each, "subCategory": {"name": each["subCategory"]}} if "subCategory" in each else each
        for each in body.get("errors", ())
    ]
    return {**body, "errors": errors} if errors else body


def _ids_as(kind: Callable[[str], object]) -> Callable[[Answer, int], Answer]:
    """Every record's id and every target's in another type; what stands in texts stays."""

    def change(value: object) -> object:
        if isinstance(value, list):
            return [change(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            name: kind(str(each)) if name in ("id", "toObjectId") else change(each)
            for name, each in value.items()
        }

    return lambda body, _number: {name: change(each) for name, each in body.items()}


_PARTS: Mapping[str, Callable[[Answer, int], Answer]] = {
    "null_results": lambda body, _number: {**body, "results": None},
    "no_results": _without("results"),
    "no_rows": _change_rows(lambda _rows: []),
    "fewer_rows": _drop_last_rows,
    "null_rows": _change_rows(lambda rows: [None for _ in rows]),
    "rows_without_ids": _change_rows(lambda rows: [_without_id(each) for each in rows]),
    "no_total": _without("total"),
    "changed_total": _change_total,
    "no_paging": _without("paging"),
    "sub_categories_as_objects": _sub_categories_as_objects,
    "ids_as_numbers": _ids_as(int),
    "ids_as_texts": _ids_as(str),
}
WAYS = (*_WHOLE, *_PARTS)
