"""The console as tests need it: a row of every kind, staff, and what a page of it may not have."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import resolve
from rest_framework.authtoken.models import Token
from typing_extensions import override

from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    JournalEntry,
    Lease,
    OutboxNote,
    RecountRequest,
)
from cache_layer.models import CacheInvalidation, ValidationRun
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.webhooks.models import SeenSignature
from tests.plans import booked

PASSWORD: Final = "a long enough one"
TOKEN: Final = "0123456789abcdef0123456789abcdef01234567"
ROOT: Final = "/admin/"
NIGHT: Final = datetime(2026, 7, 1, 23, 30, 15, tzinfo=UTC)
"""In Europe/London it is the next day: 2 Jul 2026, 00:30:15."""
FAR: Final = datetime(2099, 1, 1, tzinfo=UTC)
"""A served desk does not take up before it what is there to be looked at."""
LONG: Final = "HubSpot: " + "averylongwordwithoutanyspaces" * 15
MAX_PAGES: Final = 400
STATES: Final = ("writing", "undoing", "done", "refused", "undone", "owing")


def make_staff() -> None:
    """Olga, who may do everything and has a token; sam, who may see the cache's entries."""
    olga = User.objects.create_superuser("olga", password=PASSWORD)
    Token.objects.create(user=olga, key=TOKEN)
    sam = User.objects.create_user("sam", password=PASSWORD, is_staff=True)
    sam.user_permissions.add(Permission.objects.get(codename="view_entries"))


def hire_ivy() -> None:
    """Ivy may view the journal and sees nobody's data."""
    ivy = User.objects.create_user("ivy", password=PASSWORD, is_staff=True)
    ivy.user_permissions.add(Permission.objects.get(codename="view_journalentry"))


def print_sessions() -> None:
    """Print a session of each of the staff as JSON, by name."""
    sessions = {}
    for user in User.objects.all():
        client = Client()
        client.force_login(user)
        sessions[user.get_username()] = client.session.session_key
    print(json.dumps(sessions))


def fill_console() -> None:
    """Make rows of every kind, with values as long as they may be."""
    Group.objects.create(name="front desk")
    for number, state in enumerate(STATES):
        entry = JournalEntry.objects.create(
            kind="create",
            state=state,
            idempotency_key=f"key-{number}" + "k" * 200,
            email="alice@example.org",
            contact_id="101",
            exam_id="501",
            record_id=f"90{number}",
            arrived_at=NIGHT,
            wanted_until=NIGHT,
            changed_at=NIGHT,
            next_attempt_at=FAR,
            last_error=LONG[:500] if state == "writing" else "",
            request={"student_id": "S1", "email": "alice@example.org"},
            answer=booked(f"90{number}"),
        )
        OutboxNote.objects.create(
            entry=entry,
            contact_id="101",
            body=f"<strong>Booked</strong> {LONG}",
            reference=f"note-{number}",
            noted_at=NIGHT,
            next_attempt_at=FAR,
        )
    for follow_up in (CreditReview, RecountRequest, ErasureRequest):
        follow_up.objects.create(
            subject_id="101", asked_at=NIGHT, next_attempt_at=FAR, last_error=LONG[:500]
        )
    Lease.objects.create(name="scheduler", holder="host-1", expires_at=NIGHT)
    for day in range(3):
        WebhookEvent.objects.create(
            digest=f"{day}",
            receipt=uuid.UUID(int=day),
            subscription="contact.propertyChange",
            kind="contact",
            records="101",
            raw='{"objectId": 101}',
            due_at=FAR,
            received_at=NIGHT - timedelta(days=40 * day),
            error=LONG[:500],
        )
    UnreadableValue.objects.create(
        kind="booking", record_id="900", property_name="p" * 250, first_seen=NIGHT, last_seen=NIGHT
    )
    SeenSignature.objects.create(version="v3", first_seen_at=NIGHT)
    CacheInvalidation.objects.create(
        at=NIGHT,
        who="olga",
        reason="r" * 200,
        scope="keys",
        named=["k" * 500],
        removed=3,
        delivered=False,
    )
    ValidationRun.objects.create(at=NIGHT, who="olga", duration_s=1.5, sampled=100, drifted=1)


@dataclass
class Complaints(HTMLParser):
    """What a page has that its policy forbids, or that names another host; and where it leads."""

    found: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(f"<{tag}> with something in it")
        for name, value in given.items():
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}={value!r}>")
            loads = name in {"src", "action"} or (name == "href" and tag != "a")
            if loads and (urlsplit(value).scheme or value.startswith("//")):
                self.found.append(f"<{tag} {name}={value!r}>")
            if value.strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


def read_page(html: str) -> Complaints:
    page = Complaints()
    page.feed(html)
    return page


def crawl(client: Client) -> Iterator[tuple[str, str]]:
    """Yield the address and HTML of every kind of page that links lead to from the front page. Two
    addresses are of one kind where they have the same view and ask for the same names; of those
    that ask for several, as filters upon filters do, one is enough."""
    waiting, seen = [ROOT], set()
    while waiting:
        path = waiting.pop(0)
        kind = describe_kind(path)
        if kind in seen:
            continue
        seen.add(kind)
        assert len(seen) <= MAX_PAGES, path
        answer = client.get(path, follow=True)
        assert answer.status_code == 200, (path, answer.status_code)
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        html = answer.content.decode()
        yield path, html
        for link in read_page(html).links:
            target = urljoin(path, link).partition("#")[0]
            if target.startswith(ROOT) and not target.startswith(f"{ROOT}logout"):
                waiting.append(target)


def describe_kind(address: str) -> tuple[str, frozenset[str]]:
    path, _, query = address.partition("?")
    match = resolve(path)
    name = f"{match.view_name} {match.kwargs.get('app_label', '')}"
    asked = frozenset(key for key, _ in parse_qsl(query, keep_blank_values=True))
    return name, asked if len(asked) < 2 else frozenset({"several"})
