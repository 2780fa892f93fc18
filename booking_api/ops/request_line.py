"""The one line that is logged of each request: its fields, under two sets of names.

The short names are for people; the others are those that the school's dashboards were planned with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cache_layer import CacheStatus

SERVICE: Final = "booking-api"
COUNTED: Final = ("processed", "sampled", "removed")
"""What an answer that sums up calls the number of records it is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedRequest:
    """A request that has been answered; `action` is what its view calls what it did, `items` is the
    number of records the answer is about."""

    request_id: str
    method: str
    route: str
    action: str
    status: int
    took_s: float
    hubspot_calls: int
    cache: str
    items: int


def describe_request(served: ServedRequest) -> dict[str, Any]:
    """Return the fields of the line."""
    took_ms = round(served.took_s * 1000, 1)
    return {
        "method": served.method,
        "route": served.route,
        "status": served.status,
        "took_ms": took_ms,
        "hubspot_calls": served.hubspot_calls,
        "cache": served.cache,
        "service": SERVICE,
        "endpoint": f"/{served.route}",
        "action": served.action,
        "metrics": {
            "apiCalls": served.hubspot_calls,
            "responseTime": took_ms,
            "cacheHit": served.cache == CacheStatus.HIT,
            "itemsProcessed": served.items,
        },
        "traceId": served.request_id,
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
