"""The inbox in the admin: staff see it, nobody changes it, some may have events applied again."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from hubspot_sync.inbox.models import WebhookEvent

PAGE = "/admin/hubspot_sync/webhookevent/"
HAPPENED = datetime(2026, 11, 24, 9, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def browser(*permissions: str) -> Client:
    user = User.objects.create_user("olga", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, method: str, path: str, **fields: Any) -> tuple[int, str]:
    response = getattr(client, method)(path, fields, follow=True)
    return response.status_code, html.unescape(response.content.decode())


def stored(**fields: Any) -> WebhookEvent:
    number = WebhookEvent.objects.count() + 1
    event = {
        "digest": f"{number:064}",
        "receipt": f"{number:032}",
        "subscription": "object.propertyChange",
        "kind": "propertyChange",
        "records": f"booking {number}",
        "raw": '{"objectId": 7, "propertyValue": "<b>"}',
        "state": "applied",
        "occurred_at": HAPPENED,
        "applied_at": HAPPENED + timedelta(seconds=90),
    }
    return WebhookEvent.objects.create(**{**event, **fields})


def test_the_list_shows_what_became_of_each_event(client: Client) -> None:
    stored()
    stored(state="failed", applied_at=None, attempts=3, error="HubSpot: not now")

    seeing = browser("view_webhookevent", "view_personal_data")

    status, text = said(seeing, "get", PAGE)

    assert status == 200
    assert "0:01:30" in text
    assert "HubSpot: not now" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [("?state__exact=failed", 1), ("?q=booking+1", 1), ("?o=7", 2), ("?kind=creation", 0)],
)
def test_events_are_filtered_searched_and_ordered(query: str, found: int) -> None:
    stored()
    stored(state="failed")

    _, text = said(browser("view_webhookevent"), "get", f"{PAGE}{query}")

    assert len(set(re.findall(r"webhookevent/\d+/change/", text))) == found


def test_an_event_is_shown_as_it_came(client: Client) -> None:
    event = stored(exam_ids=["5", "6"])

    seeing = browser("view_webhookevent", "view_personal_data")

    _, text = said(seeing, "get", f"{PAGE}{event.id}/change/")

    assert '"propertyValue": "<b>"' in text
    assert "5, 6" in text


@pytest.mark.parametrize("path", ["add/", "{id}/delete/"])
def test_nobody_adds_or_removes_events(path: str) -> None:
    event = stored()
    User.objects.create_superuser("root")
    client = Client()
    client.force_login(User.objects.get(username="root"))

    assert said(client, "get", f"{PAGE}{path.format(id=event.id)}")[0] == 403


def test_nobody_changes_an_event() -> None:
    event = stored()
    client = Client()
    client.force_login(User.objects.create_superuser("root"))

    status, _ = said(client, "post", f"{PAGE}{event.id}/change/", state="failed")

    event.refresh_from_db()
    assert (status, event.state) == (403, "applied")


def test_staff_without_permission_see_nothing() -> None:
    assert said(browser(), "get", PAGE)[0] == 403


def applied_again(client: Client, *events: WebhookEvent) -> str:
    chosen = [str(event.id) for event in events]
    return said(client, "post", PAGE, action="apply_again", _selected_action=chosen)[1]


def test_who_may_has_events_applied_again() -> None:
    events = [stored(), stored(state="failed", attempts=20, error="HubSpot: not now")]
    client = browser("view_webhookevent", "apply_webhookevent")

    text = applied_again(client, *events)

    assert "2 events wait to be applied again" in text
    assert set(WebhookEvent.objects.values_list("state", "attempts", "invalidated", "error")) == {
        ("received", 0, False, "")
    }


def test_who_may_only_look_does_not() -> None:
    event = stored(state="failed")
    client = browser("view_webhookevent")

    applied_again(client, event)

    event.refresh_from_db()
    assert event.state == "failed"


def test_what_hubspot_sent_is_masked_from_whoever_may_not_see_persons() -> None:
    raw = '{"objectId": 7, "propertyName": "email", "propertyValue": "alice@example.org"}'
    event = stored(state="failed", raw=raw, error="HubSpot: alice@example.org is taken")
    client = browser("view_webhookevent")

    pages = [said(client, "get", path)[1] for path in (PAGE, f"{PAGE}{event.id}/change/")]

    assert "•••" in pages[1]
    assert not any("alice@" in page for page in pages)
    assert f"{event.id}/change/" not in said(client, "get", f"{PAGE}?q=alice")[1]
