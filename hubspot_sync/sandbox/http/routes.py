"""The table of what the sandbox imitates: operation, method, legacy path, dated path.

Everything else is answered 501, with what is known and what comes near.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from hubspot_sync.sandbox.messages import LEGACY, Reply, correlation_id

DATED = ("2026-03", "2026-09")
SEARCH = "objects.search"
_OBJECTS = "/crm/v3/objects/{type}", "/crm/objects/{version}/{type}"
_PAIRS = "/crm/v4/associations/{from}/{to}", "/crm/associations/{version}/{from}/{to}"
_PROPERTIES = "/crm/v3/properties/{type}", "/crm/properties/{version}/{type}"
_SCHEMAS = "/crm/v3/schemas", "/crm-object-schemas/{version}/schemas"
_CLIENT_SCHEMAS = "/crm-object-schemas/v3/schemas"  # the official client's legacy address
_JOURNAL = None, "/webhooks-journal/{scope}/{version}"
_SUBSCRIPTIONS = None, "/webhooks-journal/subscriptions/{version}"
_DEFAULT = "/associations/default/{to}/{to_id}"

# operation, method, legacy and dated base, what follows; None: not in that family
_TABLE: tuple[tuple[str, str, tuple[str | None, str | None], str], ...] = (
    ("objects.batch_read", "POST", _OBJECTS, "/batch/read"),
    ("objects.batch_create", "POST", _OBJECTS, "/batch/create"),
    ("objects.batch_update", "POST", _OBJECTS, "/batch/update"),
    ("objects.batch_upsert", "POST", _OBJECTS, "/batch/upsert"),
    ("objects.batch_archive", "POST", _OBJECTS, "/batch/archive"),
    (SEARCH, "POST", _OBJECTS, "/search"),
    ("objects.merge", "POST", _OBJECTS, "/merge"),
    ("objects.list", "GET", _OBJECTS, ""),
    ("objects.create", "POST", _OBJECTS, ""),
    ("objects.read", "GET", _OBJECTS, "/{id}"),
    ("objects.update", "PATCH", _OBJECTS, "/{id}"),
    ("objects.archive", "DELETE", _OBJECTS, "/{id}"),
    ("associations.batch_read", "POST", _PAIRS, "/batch/read"),
    ("associations.batch_create", "POST", _PAIRS, "/batch/create"),
    ("associations.batch_default", "POST", _PAIRS, "/batch/associate/default"),
    ("associations.batch_archive", "POST", _PAIRS, "/batch/archive"),
    ("associations.list", "GET", ("/crm/v4/objects/{from}/{id}/associations/{to}", None), ""),
    (
        "associations.default",
        "PUT",
        ("/crm/v4/objects/{from}/{id}", "/crm/objects/{version}/{from}/{id}"),
        _DEFAULT,
    ),
    ("labels.list", "GET", _PAIRS, "/labels"),
    ("properties.list", "GET", _PROPERTIES, ""),
    ("properties.create", "POST", _PROPERTIES, ""),
    ("properties.read", "GET", _PROPERTIES, "/{name}"),
    ("schemas.list", "GET", _SCHEMAS, ""),
    ("schemas.list", "GET", (_CLIENT_SCHEMAS, None), ""),
    ("schemas.read", "GET", _SCHEMAS, "/{type}"),
    ("schemas.read", "GET", (_CLIENT_SCHEMAS, None), "/{type}"),
    ("journal.token", "POST", (None, "/oauth/{version}/token"), ""),
    ("journal.token", "POST", ("/oauth/v3/token", None), ""),
    ("journal.token", "POST", ("/oauth/v1/token", None), ""),
    ("journal.earliest", "GET", _JOURNAL, "/earliest"),
    ("journal.latest", "GET", _JOURNAL, "/latest"),
    ("journal.next", "GET", _JOURNAL, "/offset/{offset}/next"),
    ("journal.batch_earliest", "GET", _JOURNAL, "/batch/earliest/{count}"),
    ("journal.batch_latest", "GET", _JOURNAL, "/batch/latest/{count}"),
    ("journal.batch_next", "GET", _JOURNAL, "/batch/{offset}/next/{count}"),
    ("journal.batch_read", "POST", _JOURNAL, "/batch/read"),
    ("journal.filters_create", "POST", _SUBSCRIPTIONS, "/filters"),
    ("journal.filters_list", "GET", _SUBSCRIPTIONS, "/filters/subscription/{id}"),
    ("journal.filters_delete", "DELETE", _SUBSCRIPTIONS, "/filters/{id}"),
    ("journal.subscriptions_clear", "DELETE", _SUBSCRIPTIONS, "/portals/{portal}"),
    ("journal.subscriptions_list", "GET", _SUBSCRIPTIONS, ""),
    ("journal.subscriptions_put", "POST", _SUBSCRIPTIONS, ""),
    ("journal.subscriptions_read", "GET", _SUBSCRIPTIONS, "/{id}"),
    ("journal.subscriptions_delete", "DELETE", _SUBSCRIPTIONS, "/{id}"),
    ("token.info", "POST", ("/oauth/v2/private-apps/get/access-token-info", None), ""),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One row for one family of paths."""

    operation: str
    method: str
    template: str
    family: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Match:
    """What a path means."""

    operation: str
    family: str
    names: dict[str, str]


@cache
def _routes() -> tuple[Route, ...]:
    found = []
    for operation, method, (legacy, dated), rest in _TABLE:
        if legacy is not None:
            found.append(_route(operation, method, legacy + rest, LEGACY))
        if dated is not None:
            for version in DATED:
                template = (dated + rest).replace("{version}", version)
                found.append(_route(operation, method, template, version))
    return tuple(found)


def _route(operation: str, method: str, template: str, family: str) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    return Route(operation, method, template, family, re.compile(pattern))


@cache
def _by_method(method: str) -> tuple[Route, ...]:
    return tuple(route for route in _routes() if route.method == method)


def match(method: str, path: str) -> Match | None:
    """The operation behind a method and a path; None for one that is not imitated."""
    for route in _by_method(method):
        found = route.pattern.fullmatch(path)
        if found is not None:
            return Match(route.operation, route.family, found.groupdict())
    return None


def not_imitated_reply(method: str, path: str) -> Reply:
    """501: what was asked, what comes near, and all there is."""
    known = [f"{route.method} {route.template}" for route in _routes()]
    same_path = [
        f"{route.method} {route.template}" for route in _routes() if route.pattern.fullmatch(path)
    ]
    near = difflib.get_close_matches(f"{method} {path}", known, n=3, cutoff=0.6)
    body: dict[str, Any] = {
        "status": "error",
        "category": "NOT_IMITATED",
        "message": f"The sandbox does not imitate {method} {path}",
        "correlationId": correlation_id(),
        "nearMisses": list(dict.fromkeys(same_path + near)),
        "known": known,
    }
    return Reply(501, body)
