"""The one line that is logged of each request: its fields, under two sets of names.

The short names are for people; the others are those that the school's dashboards were planned with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cache_layer import CacheStatus

Shown = int | float | str

SERVICE: Final = "booking-api"
COUNTED: Final = ("processed", "sampled", "removed")
"""What an answer that sums up calls the number of records it is about."""


class ServedRequest(NamedTuple):
    """A request that has been answered; `action` is what its view calls what it did, `items` is the
    number of records the answer is about, `failure_code` what an error calls itself, else empty."""

    request_id: str
    method: str
    route: str
    action: str
    status: int
    took_s: float
    hubspot_calls: int
    cache: str
    items: int
    failure_code: str = ""


class RequestKind(NamedTuple):
    """What many lines have in common."""

    method: str
    route: str
    action: str
    status: int
    cache: str
    failure_code: str


def describe_request(served: ServedRequest) -> dict[str, Any]:
    """Return the fields of the line."""
    return describe_kind(
        kind_of(served),
        took_ms=round(served.took_s * 1000, 1),
        hubspot_calls=served.hubspot_calls,
        items=served.items,
        request_id=served.request_id,
    )


def kind_of(served: ServedRequest) -> RequestKind:
    return RequestKind(
        served.method,
        served.route,
        served.action,
        served.status,
        served.cache,
        served.failure_code,
    )


def describe_kind(
    kind: RequestKind, *, took_ms: Shown, hubspot_calls: Shown, items: Shown, request_id: str
) -> dict[str, Any]:
    """Return the fields of a line of this kind, with what differs from request to request."""
    return {
        "method": kind.method,
        "route": kind.route,
        "status": kind.status,
        "took_ms": took_ms,
        "hubspot_calls": hubspot_calls,
        "cache": kind.cache,
        "service": SERVICE,
        "endpoint": f"/{kind.route}",
        "action": kind.action,
        "metrics": {
            "apiCalls": hubspot_calls,
            "responseTime": took_ms,
            "cacheHit": kind.cache == CacheStatus.HIT,
            "itemsProcessed": items,
        },
        "traceId": request_id,
        **({"code": kind.failure_code} if kind.failure_code else {}),
    }


def count_items(body: Any) -> int:
    """Return how many records an answer's body is about: the members of a list, what a summary
    says it is of, else the one thing that was answered."""
    if not isinstance(body, Mapping):
        return 0
    data = body.get("data", body)
    if isinstance(data, list):
        return len(data)
    if not isinstance(data, Mapping):
        return 0
    summed_up = data.get("summary", data)
    counts = [summed_up[name] for name in COUNTED if isinstance(summed_up.get(name), int)]
    return int(counts[0]) if counts else 1
