"""The page at `/`: how this deployment is, and where to go from there.

Strangers see it, so it says no more than `/api/ready` and `/api/schema` do, costs no more than the
first of them, and asks for no session. Programs that prefer JSON get the same in the envelope.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from booking_api.api.envelope import JsonRenderer, success
from booking_api.api.errors import refuses_writes
from booking_api.api.views.monitoring import SERVICE
from booking_api.ops.health import PartHealth, Readiness, check_readiness
from hubspot_sync.reading.availability import State

HTML: Final = "text/html"
PART_NAMES: Final = {"database": "Database", "cache": "Cache", "hubspot": "HubSpot"}
STATE_WORDS: Final = {
    State.OK: "answers",
    State.FAILED: "does not answer",
    State.UNKNOWN: "not known yet",
}
LINKS: Final = {
    "documentation": "/api/docs",
    "schema": "/api/schema",
    "console": "/admin/",
    "health": "/api/health",
    "ready": "/api/ready",
    "metrics": "/metrics",
}


@dataclass(frozen=True, slots=True)
class ShownPart:
    """One part as the page says it; `tone` is a class of the console's style sheet."""

    name: str
    words: str
    tone: str


@refuses_writes
def answer_front_page(request: HttpRequest) -> HttpResponse:
    readiness = check_readiness()
    wanted = request.get_preferred_type((HTML, JsonRenderer.media_type))
    if wanted == JsonRenderer.media_type:
        response = answer_as_json(readiness)
    else:
        response = render(request, "front_page.html", build_context(readiness))
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ("Accept",))
    return response


def answer_as_json(readiness: Readiness) -> HttpResponse:
    data = {
        "service": SERVICE,
        "version": find_version(),
        "status": "not ready" if readiness.silent else "ready",
        "checks": {name: part.state for name, part in readiness.parts()},
        "is_demo": find_demo_sandbox() is not None,
        "links": LINKS,
    }
    body = JsonRenderer().render(success(data, sum_up(readiness)))
    return HttpResponse(body, content_type=JsonRenderer.media_type)


def build_context(readiness: Readiness) -> dict[str, object]:
    parts = [describe_part(name, part) for name, part in readiness.parts()]
    return {
        "version": find_version(),
        "sentence": sum_up(readiness),
        "tone": max((part.tone for part in parts), key=("good", "off", "bad").index),
        "parts": parts,
        "sandbox_url": find_demo_sandbox(),
        "links": LINKS,
    }


def describe_part(name: str, part: PartHealth) -> ShownPart:
    tone = {State.OK: "good", State.FAILED: "bad", State.UNKNOWN: "off"}[part.state]
    return ShownPart(PART_NAMES[name], STATE_WORDS[part.state], tone)


def sum_up(readiness: Readiness) -> str:
    """Return in one sentence whether it is ready."""
    failed = [name for name, part in readiness.parts() if part.state is State.FAILED]
    if failed:
        return f"Not ready: no answer from {join_names(failed)}."
    if readiness.silent:
        return f"Not known yet: nothing was heard from {join_names(readiness.silent)}."
    return "Ready: database, cache and HubSpot answer."


def join_names(parts: list[str]) -> str:
    """Return "the database, the cache and HubSpot" for as many of them as are given."""
    names = ["HubSpot" if part == "hubspot" else f"the {part}" for part in parts]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def find_version() -> str:
    return str(settings.SPECTACULAR_SETTINGS["VERSION"])


def find_demo_sandbox() -> str | None:
    """Return the address of the sandbox where this is a demo: while somebody develops, and HubSpot
    is on this machine. A deployment does not tell strangers whom it calls."""
    if not settings.DEBUG:
        return None
    base_url = str(settings.HUBSPOT.base_url)
    try:
        is_here = ip_address(urlsplit(base_url).hostname or "").is_loopback
    except ValueError:
        return None
    return base_url if is_here else None
