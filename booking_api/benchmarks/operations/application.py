"""The application within this process, pointed at a sandbox, and how it is asked."""

from __future__ import annotations

import hashlib
import hmac
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from django.conf import settings
from django.core.cache import caches
from django.test import Client, override_settings

from booking_api import composition
from booking_api.api.windows import forget_windows
from booking_api.benchmarks.processes import TOKEN, Sandbox
from booking_api.desk.journal.models import (
    UNFINISHED,
    CreditReview,
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from booking_api.ops.feed import build_follower
from cache_layer import CacheConfig
from hubspot_sync.config import HubSpotConfig, JournalConfig
from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP, subscribe_in_sandbox

SECRET = "benchmark-secret-of-this-run"  # noqa: S105 - guards invented data
UNLIMITED = 1_000_000
MAX_WAIT_S = 60.0
POLL_S = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Which of HubSpot's limits our own client keeps to."""

    per_window: int = HubSpotConfig.requests_per_window
    searches_per_second: int = HubSpotConfig.searches_per_second


HUBSPOTS = Limits()
OF_SEARCH = Limits(per_window=UNLIMITED)
NONE = Limits(per_window=UNLIMITED, searches_per_second=UNLIMITED)

KINDS = (
    *(OutboxNote, JournalEntry, RecountRequest, CreditReview, ErasureRequest),
    *(WebhookEvent, FeedPosition, OwnWrite),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of somebody's."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    fields: Any
    signed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: Client) -> int:
        """Return the status of the answer."""
        if self.method == "GET":
            return client.get(self.path, self.fields, headers=dict(self.headers)).status_code
        body = orjson.dumps(self.fields)
        headers = {**self.headers, **(sign(self.path, body) if self.signed else {})}
        reply = client.generic(
            self.method, self.path, body, content_type="application/json", headers=headers
        )
        return reply.status_code


def sign(path: str, body: bytes) -> dict[str, str]:
    """Return the headers by which HubSpot signs a webhook, version 3."""
    at_ms = str(int(datetime.now(UTC).timestamp() * 1000))
    signed = f"POSThttp://testserver{path}".encode() + body + at_ms.encode()
    made = b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    return {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": at_ms}


@contextmanager
def running_application(
    sandbox: Sandbox,
    cache: CacheConfig,
    *,
    limits: Limits = HUBSPOTS,
    journal: JournalConfig | None = None,
) -> Iterator[Client]:
    """Point this process's application at the sandbox, with nothing remembered; it keeps to these
    limits of HubSpot's."""
    composition.close()
    for django_cache in caches.all():
        django_cache.clear()
    forget_windows()
    with override_settings(
        HUBSPOT=hubspot_config(sandbox.url, limits),
        HUBSPOT_JOURNAL=journal or JournalConfig(),
        HUBSPOT_PORTAL="default",
        HUBSPOT_WEBHOOK_SECRETS=[SECRET],
        CRON_SECRET=SECRET,
        CACHE=cache,
        REDIS_URL="",
        THROTTLE_RATES=dict.fromkeys(settings.THROTTLE_RATES),
        THROTTLE_ANONYMOUS_CALLS=None,
    ):
        try:
            yield Client(raise_request_exception=False)
        finally:
            composition.close()


def hubspot_config(url: str, limits: Limits = HUBSPOTS) -> HubSpotConfig:
    # The database, where what webhooks told of lies, is empty: nothing has to be waited for.
    return HubSpotConfig(
        base_url=url,
        token=TOKEN,
        search_lag_s=0,
        requests_per_window=limits.per_window,
        searches_per_second=limits.searches_per_second,
    )


def start_working() -> None:
    """Start what a serving process does beside answering, and wait until it knows the portal."""
    services = composition.services()
    services.webhooks.worker.start()
    services.booking.start()


@contextmanager
def followed_feed() -> Iterator[None]:
    """Inside the block the change feed is followed, as by the process that holds its lease, and
    what is loaded is proven. Raises RuntimeError where no proof begins."""
    follower = build_follower()
    if follower is None:
        raise RuntimeError("There is no journal to follow.")
    follower.start()
    try:
        freshness = composition.services().cached.cache.freshness
        wait_until(lambda: freshness.describe().proven)
        yield
    finally:
        follower.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when the condition holds; raise RuntimeError where it does not for a minute."""
    pause = threading.Event()
    for _ in range(int(MAX_WAIT_S / POLL_S)):
        if holds():
            return
        pause.wait(POLL_S)
    raise RuntimeError("What is waited for does not come.")


def sandbox_journal(sandbox: Sandbox) -> JournalConfig:
    """Have the sandbox's journal tell of everything; return how it is reached."""
    subscribe_in_sandbox(sandbox.url, load_profile("default"))
    return JournalConfig(
        client_id=SANDBOX_APP["HUBSPOT_CLIENT_ID"],
        client_secret=SANDBOX_APP["HUBSPOT_CLIENT_SECRET"],
        portal_id=SANDBOX_APP["HUBSPOT_PORTAL_ID"],
        base_url=sandbox.url,
        allow_private_files=True,
        hears_of_all_objects=True,
    )


def is_unused() -> bool:
    """Say whether the database is nobody's: no row of the desk's, the inbox's or the feed's. Only
    there may this process do the desk's work before a sandbox."""
    return not any(kind.objects.exists() for kind in KINDS)


def forget_everything() -> None:
    """Remove what the desk, the inbox and the feed have noted, from a database that was unused."""
    for kind in KINDS:
        kind.objects.all().delete()


def has_work_left() -> bool:
    """Say whether anything waits in the journal, the outbox, the inbox, or to be counted."""
    return (
        JournalEntry.objects.filter(state__in=(EntryState.QUEUED, *UNFINISHED)).exists()
        or OutboxNote.objects.filter(state__in=(NoteState.WAITING, NoteState.SENDING)).exists()
        or WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED).exists()
        or any(kind.objects.exists() for kind in (RecountRequest, CreditReview, ErasureRequest))
    )


def counted_calls(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the calls of the sandbox's log without those of the change journal, which count
    against no limit of HubSpot's."""
    calls = sandbox.control("GET", "calls?since=0")["calls"]
    return [call for call in calls if not call["operation"].startswith("journal.")]


def wait_until_quiet(sandbox: Sandbox, latency_ms: float) -> int:
    """Return the number of calls once nothing waits and none is under way; raise RuntimeError."""
    pause, before = threading.Event(), -1
    for _ in range(int(MAX_WAIT_S / POLL_S)):
        if has_work_left():
            pause.wait(POLL_S)
            continue
        calls = len(counted_calls(sandbox))
        if calls == before:
            return calls
        before = calls
        pause.wait(POLL_S + 2 * latency_ms / 1000)
    raise RuntimeError("The work that follows an answer does not end.")
