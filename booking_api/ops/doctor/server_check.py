"""The running server, asked over HTTP as a monitor would: is it ready, and what proxies has it
seen? Counters are one worker's or all of them, since the start, as `/metrics` shows them."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request

from prometheus_client.parser import text_string_to_metric_families

from booking_api.ops.doctor.clocks import Span, compare_date_header, timed
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from cache_layer.operating.direct_requests import open_directly
from hubspot_sync.preflight import FindingKind

AREA: Final = "server"
SERVICE: Final = "mocks-booking-api"
MAX_WAIT_S: Final = 4.0
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
FORWARDING: Final = "mocks_forwarding_headers"
SIGNATURES: Final = "mocks_webhook_signatures_refused"
WHERE: Final = "Give its address with --url, or --no-server where none runs."


class _NoAnswer(Exception):
    """Nothing that could be read came; the message says why."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: bytes
    headers: Mapping[str, str]
    span: Span

    def as_json(self) -> dict[str, Any]:
        """Return the body; raise _NoAnswer where it is no JSON object."""
        try:
            body = json.loads(self.content)
        except ValueError as error:
            raise _NoAnswer("what it answers is no JSON") from error
        if not isinstance(body, dict):
            raise _NoAnswer("what it answers is no JSON object")
        return body


def check_server(deployment: Deployment) -> Iterator[Diagnosis]:
    url = deployment.server_url.rstrip("/")
    try:
        health = _get(f"{url}/api/health")
        is_ours = health.as_json().get("service") == SERVICE
    except _NoAnswer as error:
        yield _diagnose("", FindingKind.UNKNOWN, f"{url}: {error}", WHERE)
        return
    if not is_ours:
        said = f"{url}: what answers there is not this API"
        yield _diagnose("", FindingKind.UNKNOWN, said, WHERE)
        return
    took_ms = (health.span.answered_at - health.span.asked_at).total_seconds() * 1000
    yield _diagnose("", FindingKind.OK, f"{url} answers in {took_ms:.0f} ms")
    yield compare_date_header("server", health.headers.get("Date"), health.span)
    try:
        yield from _judge_readiness(_get(f"{url}/api/ready").as_json())
        yield from _judge_metrics(_get(f"{url}/metrics", deployment.metrics_token))
    except _NoAnswer as error:
        yield _diagnose("", FindingKind.UNKNOWN, f"{url}: {error}")


def check_public_address(deployment: Deployment) -> Iterator[Diagnosis]:
    """Whether the address that HubSpot signs leads to this API, by whatever stands before it."""
    url = deployment.public_base_url
    try:
        body = _get(f"{url}/api/health").as_json()
    except _NoAnswer as error:
        advice = "See DNS, the proxy and its certificate; from outside it may still be reachable."
        yield _diagnose("PUBLIC_BASE_URL", FindingKind.WARNING, f"{url}: {error}", advice)
        return
    if body.get("service") == SERVICE:
        yield _diagnose("PUBLIC_BASE_URL", FindingKind.OK, f"{url} leads here")
    else:
        advice = "Set PUBLIC_BASE_URL to the address that HubSpot calls."
        said = f"{url} leads to something else"
        yield _diagnose("PUBLIC_BASE_URL", FindingKind.WRONG, said, advice)


def _get(url: str, token: str = "") -> _Answer:
    """Return the answer of any status; raise _NoAnswer."""
    if not url.startswith(("http://", "https://")):
        raise _NoAnswer("no address; it wants http://host:port")
    headers = {} if token == "" else {"Authorization": f"Bearer {token}"}
    request = Request(url, headers=headers)  # noqa: S310 - http and https alone, see above
    got: list[Any] = []

    def ask() -> None:
        try:
            with open_directly(request, timeout_s=MAX_WAIT_S) as response:
                got.extend((response.status, response.read(MAX_BODY_BYTES), response.headers))
        except HTTPError as error:
            got.extend((error.code, error.read(MAX_BODY_BYTES), error.headers))

    try:
        span = timed(ask)
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        raise _NoAnswer(f"no answer ({getattr(error, 'reason', error)})") from error
    if HTTPStatus.MULTIPLE_CHOICES <= got[0] < HTTPStatus.BAD_REQUEST:
        raise _NoAnswer(f"it sends on to another address (status {got[0]})")
    return _Answer(got[0], got[1], got[2], span)


def _judge_readiness(body: Mapping[str, Any]) -> Iterator[Diagnosis]:
    states = body.get("checks")
    if not isinstance(states, dict):
        raise _NoAnswer("what it answers says nothing of its readiness")
    failed = sorted(name for name, state in states.items() if state == "failed")
    if failed:
        yield _diagnose(
            "readiness",
            FindingKind.WRONG,
            f"it gets no answer from: {', '.join(failed)}",
            "See the lines on these here; where they are well, its settings may be others.",
        )
    else:
        yield _diagnose("readiness", FindingKind.OK, "database, cache and HubSpot answer it")


def _judge_metrics(answer: _Answer) -> Iterator[Diagnosis]:
    if answer.status != http.client.OK:
        yield _diagnose(
            "proxies",
            FindingKind.UNKNOWN,
            f"it does not show its metrics here (status {answer.status})",
            "Set METRICS_TOKEN as the server has it, or ask from METRICS_NETWORKS.",
        )
        return
    forwarded, refused = _count_by_labels(answer.content.decode("utf-8", "replace"))
    yield _judge_forwarding(forwarded)
    if refused.total() > 0:
        reasons = ", ".join(f"{reason} {number:.0f}" for reason, number in refused.items())
        yield _diagnose(
            "signatures",
            FindingKind.WARNING,
            f"webhooks refused since its start: {reasons}",
            "See HUBSPOT_WEBHOOK_SECRET, PUBLIC_BASE_URL and the clocks.",
        )


def _count_by_labels(text: str) -> tuple[Counter[str], Counter[str]]:
    """Return what was counted of forwarding headers by reason and header, and of signatures by
    reason; raise _NoAnswer for what is no metrics."""
    forwarded: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.value == 0 or not sample.name.endswith("_total"):
                    continue
                if family.name == FORWARDING:
                    label = f"{sample.labels.get('header')} ({sample.labels.get('reason')})"
                    forwarded[label] += int(sample.value)
                elif family.name == SIGNATURES:
                    refused[str(sample.labels.get("reason"))] += int(sample.value)
    except ValueError as error:
        raise _NoAnswer("what it answers is no metrics") from error
    return forwarded, refused


def _judge_forwarding(forwarded: Counter[str]) -> Diagnosis:
    if not forwarded:
        return _diagnose("proxies", FindingKind.OK, "no forwarding header was disbelieved")
    headers = ", ".join(f"{label} {number}" for label, number in forwarded.items())
    return _diagnose(
        "proxies",
        FindingKind.WARNING,
        f"headers that were not believed: {headers}",
        "If they are a proxy's of yours, name it in TRUSTED_PROXIES: "
        "docs/how-to/put-a-proxy-in-front.md. Strangers can send them, too.",
    )


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
