"""A request as an endpoint sees it, an answer, and a refusal in HubSpot's words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

VALIDATION_ERROR = "VALIDATION_ERROR"
OBJECT_NOT_FOUND = "OBJECT_NOT_FOUND"
LEGACY = "legacy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call: where it went, what the route read off the path, what it carries."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    operation: str = ""
    family: str = LEGACY
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The `inputs` of a batch; raises Refusal where they are not a list of objects."""
        inputs = self.fields.get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
            raise invalid("Invalid input JSON: inputs must be a list of objects")
        return inputs

    @property
    def fields(self) -> dict[str, Any]:
        """The body as an object; raises Refusal where it is none."""
        if not isinstance(self.body, dict):
            raise invalid("Invalid input JSON: an object is expected")
        return self.body


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, a JSON body (None: empty), more headers; `raw` goes out in the body's place."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json;charset=utf-8"

    @property
    def content(self) -> bytes:
        """What goes over the wire; ASCII, half an emoji as its escape, where it is JSON."""
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


class Refusal(Exception):
    """An answer that says no; `reply` is what goes over the wire."""

    def __init__(
        self,
        status: int,
        category: str,
        message: str,
        *,
        sub_category: str | None = None,
        context: Mapping[str, Sequence[str]] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.category, self.message = status, category, message
        self.sub_category, self.context, self.errors = sub_category, context, errors

    @property
    def reply(self) -> Reply:
        return Reply(self.status, {**self.part(), "correlationId": correlation_id()})

    def part(self) -> dict[str, Any]:
        """The refusal as a member of a 207's `errors`."""
        part: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "category": self.category,
        }
        if self.sub_category is not None:
            part["subCategory"] = self.sub_category
        if self.context is not None:
            part["context"] = {name: list(values) for name, values in self.context.items()}
        if self.errors:
            part["errors"] = list(self.errors)
        return part


def invalid(
    message: str,
    *,
    context: Mapping[str, Sequence[str]] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> Refusal:
    """A 400 for what HubSpot calls a validation error."""
    return Refusal(400, VALIDATION_ERROR, message, context=context, errors=errors)


def not_found(message: str = "resource not found") -> Refusal:
    return Refusal(404, OBJECT_NOT_FOUND, message)


def correlation_id() -> str:
    return str(uuid.uuid4())


def batch_reply(
    status: int, results: Sequence[Any], started: str, errors: Sequence[Mapping[str, Any]] = ()
) -> Reply:
    """A batch's answer: `status`, or 207 with the errors where there are any."""
    body = {
        "status": "COMPLETE",
        "results": list(results),
        "startedAt": started,
        "completedAt": started,
    }
    if not errors:
        return Reply(status, body)
    return Reply(207, {**body, "numErrors": len(errors), "errors": list(errors)})
