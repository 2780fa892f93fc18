"""What an answer to a read must have to be one: the table of shapes.

HubSpot answers now and then 200 with no body, with half of one, or with `results: null`
(hubspot-facts, "What values really look like"). That is no answer at all, least of all "there is
nothing": it is asked again like a 502, and then an error. What an answer must have beyond its
operation's shape, its request says (`transport.Request.accepts`).

Writes are not in the table: what an answer to one leaves open is an outcome that nobody knows, and
whoever wrote looks it up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.json_parser import InvalidJson, parse_json
from hubspot_sync.wire.verdicts import (
    RETRY,
    UNEXPECTED,
    JsonObject,
    Meaning,
    Verdict,
    judge,
)

Shape = Callable[[JsonObject], bool]
"""Whether a body is an answer."""

MULTI_STATUS: Final = 207
NEEDS_JSON: Final = frozenset({Meaning.OK, Meaning.PARTIAL, Meaning.MISSING, Meaning.REFUSED})
"""A page of HTML with one of these would be a proxy's word, not HubSpot's."""


def accept_all(_body: JsonObject) -> bool:
    return True


def has_results(body: JsonObject) -> bool:
    """Whether there is a list of results; it may be empty."""
    return isinstance(body.get("results"), list)


def has_results_and_total(body: JsonObject) -> bool:
    return has_results(body) and total_of(body) is not None


def is_record(body: JsonObject) -> bool:
    return "id" in body and isinstance(body.get("properties"), Mapping)


def has_name(body: JsonObject) -> bool:
    return isinstance(body.get("name"), str)


def says_something(body: JsonObject) -> bool:
    return len(body) > 0


SHAPES: Final[Mapping[Operation, Shape]] = {
    Operation.READ: is_record,
    Operation.BATCH_READ: has_results,
    Operation.SEARCH: has_results_and_total,
    Operation.ASSOCIATIONS_READ: has_results,
    Operation.LABELS: has_results,
    Operation.PROPERTIES_LIST: has_results,
    Operation.PROPERTY_READ: has_name,
    Operation.SCHEMAS_LIST: has_results,
    # Of scopes and app a portal need not tell.
    Operation.TOKEN_INFO: says_something,
}


def is_answer(operation: Operation, status: int, body: JsonObject | None) -> bool:
    """Return whether a 2xx's body has what the operation's answer needs; None is one that was no
    JSON object. A 207 that has nothing but errors is an answer too."""
    shape = SHAPES.get(operation)
    if shape is None:
        return True
    if body is None:
        return False
    return shape(body) or (status == MULTI_STATUS and isinstance(body.get("errors"), list))


def judge_reply(
    operation: Operation, status: int, body: JsonObject | None, accepts: Shape
) -> Verdict:
    """Return what a whole reply means; None is a body that was no JSON object. A read's 2xx that is
    no answer is a failure that passes."""
    said: JsonObject = body if body is not None else {}
    verdict = judge(status, said)
    if verdict.meaning in {Meaning.OK, Meaning.PARTIAL} and not (
        is_answer(operation, status, body) and accepts(said)
    ):
        return RETRY
    if body is None and verdict.meaning in NEEDS_JSON:
        return UNEXPECTED
    return verdict


def parse_body(content: bytes) -> JsonObject | None:
    """Return the body as an object, an empty one (a 204's) as an empty object; None where it is
    something else."""
    if not content:
        return {}
    try:
        body = parse_json(content)
    except InvalidJson:
        return None
    return body if isinstance(body, dict) else None


def total_of(body: JsonObject) -> int | None:
    """Return a search answer's `total`, None where it is no count."""
    total = body.get("total")
    counts = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return total if counts else None
