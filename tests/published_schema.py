"""The schema as the API publishes it, and as JSON Schema that answers can be held against."""

from __future__ import annotations

from typing import Any

import orjson

from tests.api import Api

ACCEPT = {"Accept": "application/vnd.oai.openapi+json"}


def fetch_schema(api: Api) -> Any:
    return orjson.loads(api.get("/api/schema", headers=ACCEPT).body)


def published(api: Api) -> Any:
    return as_json_schema(fetch_schema(api))


def as_json_schema(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema that allows nothing it does not name."""
    if isinstance(node, list):
        return [as_json_schema(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    changed = {name: as_json_schema(inner) for name, inner in node.items() if name != "nullable"}
    if "properties" in changed:
        changed.setdefault("additionalProperties", False)
    return {"anyOf": [changed, {"type": "null"}]} if node.get("nullable") is True else changed
