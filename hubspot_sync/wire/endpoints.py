"""Where each operation lives: its method, its path per API version, and what sending it twice does.

HubSpot versions its API by date since 2026-03; the bodies are the same, the paths are not
(hubspot-facts, "Two families of paths"). This is the one place that knows a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from urllib.parse import quote

from hubspot_sync.config import ApiVersion


class Effect(Enum):
    """What a call does, so what a second sending of it would do."""

    READ = "read"
    ABSOLUTE = "absolute"
    """Sets absolute values, or removes: done twice is done once."""
    CREATE = "create"
    """Done twice is made twice."""


class Operation(StrEnum):
    """Every call we make; the values are the names in the call log, in metrics and in the log."""

    READ = "objects.read"
    BATCH_READ = "objects.batch_read"
    BATCH_CREATE = "objects.batch_create"
    BATCH_UPDATE = "objects.batch_update"
    BATCH_ARCHIVE = "objects.batch_archive"
    SEARCH = "objects.search"
    ASSOCIATIONS_READ = "associations.batch_read"
    ASSOCIATE = "associations.batch_default"
    LABELS = "associations.labels"
    PROPERTIES_LIST = "properties.list"
    PROPERTY_READ = "properties.read"
    PROPERTY_CREATE = "properties.create"
    SCHEMAS_LIST = "schemas.list"
    TOKEN_INFO = "token.info"  # noqa: S105 - the name of an operation


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One operation. The placeholders are `{version}`, `{type}` and, for associations, `{to}`; of a
    single property `{to}` is its name."""

    method: str
    effect: Effect
    dated: str
    legacy: str

    def path(self, version: ApiVersion, object_type: str = "", to_type: str = "") -> str:
        """Return the path of this operation in that version."""
        template = self.legacy if version == "legacy" else self.dated
        return template.format(
            version=version, type=quote(object_type, safe=""), to=quote(to_type, safe="")
        )


def _objects_endpoint(tail: str, effect: Effect) -> Endpoint:
    return Endpoint(
        method="POST",
        effect=effect,
        dated=f"/crm/objects/{{version}}/{{type}}/{tail}",
        legacy=f"/crm/v3/objects/{{type}}/{tail}",
    )


def _associations_endpoint(method: str, tail: str, effect: Effect = Effect.READ) -> Endpoint:
    return Endpoint(
        method=method,
        effect=effect,
        dated=f"/crm/associations/{{version}}/{{type}}/{{to}}/{tail}",
        legacy=f"/crm/v4/associations/{{type}}/{{to}}/{tail}",
    )


def _plain_endpoint(method: str, effect: Effect, dated: str, legacy: str) -> Endpoint:
    return Endpoint(method=method, effect=effect, dated=dated, legacy=legacy)


_RECORD = ("/crm/objects/{version}/{type}/", "/crm/v3/objects/{type}/")
_PROPERTIES = ("/crm/properties/{version}/{type}", "/crm/v3/properties/{type}")
_SCHEMAS = ("/crm-object-schemas/{version}/schemas", "/crm/v3/schemas")
# Undated in every version: the document on private apps knows no other address.
_TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105 - a path

ENDPOINTS: Mapping[Operation, Endpoint] = MappingProxyType(
    {
        # The record's id follows, and what is asked of it.
        Operation.READ: _plain_endpoint("GET", Effect.READ, *_RECORD),
        Operation.BATCH_READ: _objects_endpoint("batch/read", Effect.READ),
        Operation.BATCH_CREATE: _objects_endpoint("batch/create", Effect.CREATE),
        Operation.BATCH_UPDATE: _objects_endpoint("batch/update", Effect.ABSOLUTE),
        Operation.BATCH_ARCHIVE: _objects_endpoint("batch/archive", Effect.ABSOLUTE),
        Operation.SEARCH: _objects_endpoint("search", Effect.READ),
        Operation.ASSOCIATIONS_READ: _associations_endpoint("POST", "batch/read"),
        # Ours are made with their record; the benchmarks' copy of the old system links afterwards.
        Operation.ASSOCIATE: _associations_endpoint(
            "POST", "batch/associate/default", Effect.ABSOLUTE
        ),
        Operation.LABELS: _associations_endpoint("GET", "labels"),
        Operation.PROPERTIES_LIST: _plain_endpoint("GET", Effect.READ, *_PROPERTIES),
        Operation.PROPERTY_READ: _plain_endpoint(
            "GET", Effect.READ, *(f"{path}/{{to}}" for path in _PROPERTIES)
        ),
        Operation.PROPERTY_CREATE: _plain_endpoint("POST", Effect.CREATE, *_PROPERTIES),
        Operation.SCHEMAS_LIST: _plain_endpoint("GET", Effect.READ, *_SCHEMAS),
        Operation.TOKEN_INFO: _plain_endpoint("POST", Effect.READ, _TOKEN_INFO, _TOKEN_INFO),
    }
)
