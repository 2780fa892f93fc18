"""Which of HubSpot's signatures are taken, and what may be sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from booking_api import composition
from booking_api.env_types import some_of
from cache_layer import BackendUnavailable
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.webhooks.models import SeenSignature
from tests.api import Api, Reply
from tests.builders import Portal
from tests.webhooks import BOOKING_SYNC, HOST, SECRET, Events, Raw, apply_waiting, post, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("webhook_secret")]

OTHER_SECRET = "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"
LIST = "/api/bookings/list"


def sign(version: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    if version == "v3":
        return signed(body, f"{HOST}{BOOKING_SYNC}", secret=secret)
    uri = f"POST{HOST}{BOOKING_SYNC}".encode() if version == "v2" else b""
    made = hashlib.sha256(secret.encode() + uri + body).hexdigest()
    return {"X-HubSpot-Signature": made, "X-HubSpot-Signature-Version": version}


def send(api: Api, version: str, *events: Raw, secret: str = SECRET) -> Reply:
    body = orjson.dumps(list(events))
    return post(api, body, headers=sign(version, body, secret))


def at(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def ago(**time: float) -> int:
    return at(datetime.now(UTC) - timedelta(**time))


# Which are accepted


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        (["v3", "v1"], {"v3": 200, "v2": 401, "v1": 200}),
        (["v3"], {"v3": 200, "v2": 401, "v1": 401}),
        (["v2"], {"v3": 401, "v2": 200, "v1": 401}),
        (["v3", "v2", "v1"], {"v3": 200, "v2": 200, "v1": 200}),
    ],
)
def test_only_the_accepted_kinds_are_taken(
    accepted: list[str], taken: dict[str, int], api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SIGNATURES = accepted

    for version in ("v1", "v2", "v3"):
        assert send(api, version, events.changed("9")).status == taken[version]


@pytest.mark.parametrize("text", ["", " ", "v4", "v3,none", "V3", "v3;v1"])
def test_kinds_that_there_are_not_cannot_be_set(text: str) -> None:
    with pytest.raises(ValueError, match="v3, v2, v1"):
        some_of("v3", "v2", "v1")(text)


@pytest.mark.parametrize("weaker", ["v1", "v2"])
def test_once_a_right_v3_has_come_nothing_weaker_is_taken(
    weaker: str, api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SIGNATURES = ["v3", "v2", "v1"]
    assert send(api, weaker, events.changed("9")).status == 200

    assert send(api, "v3", events.changed("9")).status == 200

    assert send(api, weaker, events.changed("9")).code == "INVALID_SIGNATURE"
    composition.close()  # as a process that is started anew, or another one
    assert send(api, weaker, events.changed("9")).code == "INVALID_SIGNATURE"
    assert send(api, "v3", events.changed("9")).status == 200


def test_a_v3_that_is_not_right_shuts_nobody_out(api: Api, events: Events) -> None:
    body = orjson.dumps([events.changed("9")])
    right = sign("v3", body)
    forged = [
        sign("v3", body, "not the secret at all"),
        right | {"X-HubSpot-Request-Timestamp": "1"},
        right | {"X-HubSpot-Signature-v3": ""},
        right | {"X-HubSpot-Signature-v3": f"{right['X-HubSpot-Signature-v3']}, AAAA"},
        right | {"X-HubSpot-Signature-v3": right["X-HubSpot-Signature-v3"].rstrip("=")},
        sign("v1", body) | {"X-HubSpot-Signature-v3": "AAAA", "X-HubSpot-Request-Timestamp": "1"},
        sign("v1", body) | {"X-HubSpot-Signature-v3": ""},
    ]

    assert {post(api, body, headers=headers).status for headers in forged} == {401}
    assert not SeenSignature.objects.exists()
    assert send(api, "v1", events.changed("9")).status == 200


def test_a_refused_signature_costs_the_database_nothing(api: Api, events: Events) -> None:
    body = orjson.dumps([events.changed("9")])
    with CaptureQueriesContext(connection) as asked:
        post(api, body, headers=sign("v1", body, OTHER_SECRET))
        post(api, body, headers=sign("v3", body, OTHER_SECRET))
        post(api, body, headers={})

    assert len(asked) == 0


def test_who_sets_v1_alone_has_v1_whatever_was_seen(
    api: Api, events: Events, settings: Settings
) -> None:
    """The way back for an app that signs v3 no longer, without the admin."""
    send(api, "v3", events.changed("9"))
    settings.HUBSPOT_WEBHOOK_SIGNATURES = ["v1"]
    both = orjson.dumps([events.changed("9")])

    assert send(api, "v1", events.changed("9")).status == 200
    assert post(api, both, headers=sign("v3", both) | sign("v1", both)).status == 200


@pytest.mark.parametrize("may", [True, False])
def test_an_administrator_may_have_it_forgotten(may: bool, api: Api, events: Events) -> None:
    send(api, "v3", events.changed("9"))
    User.objects.create_user("ada", password="x", is_staff=True, is_superuser=may)
    browser = Client()
    browser.login(username="ada", password="x")

    browser.post("/admin/hubspot_sync/seensignature/v3/delete/", {"post": "yes"})

    assert send(api, "v1", events.changed("9")).status == (200 if may else 401)


@pytest.mark.parametrize("version", ["v3", "v1"])
def test_each_of_several_secrets_signs(
    version: str, api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = [OTHER_SECRET, SECRET, "caf\udce9" * 8]

    assert send(api, version, events.changed("9"), secret=OTHER_SECRET).status == 200
    assert send(api, version, events.changed("9"), secret=SECRET).status == 200


# What is signed without a time


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("occurred_at", "status"),
    [
        pytest.param(ago(seconds=1), 200, id="now"),
        pytest.param(ago(hours=25), 200, id="HubSpot's last repeat"),
        pytest.param(ago(minutes=-30), 200, id="our clock is behind"),
        pytest.param(ago(hours=27), 401, id="yesterday"),
        pytest.param(1_564_113_600_000, 401, id="2019"),
        pytest.param(ago(hours=-2), 401, id="in two hours"),
        pytest.param(ago(days=-40_000), 401, id="in a hundred years"),
        pytest.param(10**18, 401, id="no date at all"),
        pytest.param(-1, 401, id="before all time"),
        pytest.param("1564113600000", 401, id="text"),
        pytest.param(None, 401, id="none"),
    ],
)
def test_an_event_without_a_signed_time_must_be_of_these_days(
    version: str, occurred_at: Any, status: int, api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SIGNATURES = ["v3", "v2", "v1"]

    reply = send(api, version, events.changed("9", occurredAt=occurred_at))

    assert reply.status == status
    assert WebhookEvent.objects.count() == (1 if status == 200 else 0)


def test_old_events_among_new_ones_are_errors_and_the_new_ones_are_stored(
    api: Api, events: Events
) -> None:
    old = [events.changed("9", occurredAt=ago(days=days)) for days in (2, 400)]

    reply = send(api, "v1", old[0], events.changed("9"), old[1])

    assert (reply.status, reply.body["processed"], reply.body["errors"]) == (200, 1, 2)
    assert WebhookEvent.objects.count() == 1


def test_what_is_signed_with_its_time_may_tell_of_old_things(api: Api, events: Events) -> None:
    """Who signs v3 says when it was sent; HubSpot may be late."""
    assert send(api, "v3", events.changed("9", occurredAt=ago(days=3))).body["processed"] == 1


# What is sent again


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_what_is_known_drops_no_cache_and_asks_hubspot_nothing(
    version: str, api: Api, portal: Portal, events: Events
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booking = portal.booking(alice, exam)
    told = [events.changed(booking.id, "is_active"), events.contact("deletion", alice.id)]
    assert send(api, version, *told).body["processed"] == 2
    apply_waiting()
    api.get(LIST, **alice.pair)
    portal.sandbox.clear_calls()

    again = [send(api, version, *told) for _ in range(5)]

    assert [reply.body["duplicates"] for reply in again] == [2] * 5
    apply_waiting()
    assert api.get(LIST, **alice.pair).status == 200
    assert portal.sandbox.calls() == []


def test_what_is_new_among_what_is_known_is_seen(api: Api, portal: Portal, events: Events) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    known = events.changed(booking.id, "name")
    send(api, "v1", known)
    api.get(LIST, **alice.pair)
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")

    reply = send(api, "v1", known, events.changed(booking.id, "name"))

    assert (reply.body["processed"], reply.body["duplicates"]) == (1, 1)
    assert api.get(LIST, **alice.pair).data["bookings"][0]["name"] == "Alice M."


def test_what_the_cache_has_not_heard_of_is_told_to_it_by_a_repeat(
    api: Api, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = composition.services().cached.cache.backend
    invalidate, told = backend.invalidate, list[frozenset[str]]()

    def refuse(tags: Collection[str], keys: Collection[str]) -> Any:
        raise BackendUnavailable("no answer")

    def hear(tags: Collection[str], keys: Collection[str]) -> Any:
        told.append(frozenset(tags))
        return invalidate(tags, keys)

    event = events.changed("9")
    monkeypatch.setattr(backend, "invalidate", refuse)
    assert send(api, "v1", event).status == 200
    monkeypatch.setattr(backend, "invalidate", hear)

    send(api, "v1", event)
    heard = [*told]
    send(api, "v1", event)

    assert frozenset({"booking:9"}) in heard
    assert told == heard
    assert WebhookEvent.objects.get().invalidated


# Where it comes from


@pytest.mark.parametrize(
    ("sources", "remote", "forwarded", "status"),
    [
        ([], "203.0.113.9", "", 200),
        (["203.0.113.0/24"], "203.0.113.9", "", 200),
        (["203.0.113.9/32"], "203.0.113.9", "", 200),
        (["203.0.113.0/24"], "198.51.100.7", "", 403),
        (["203.0.113.0/24"], "10.0.0.1", "203.0.113.9", 200),
        (["203.0.113.0/24"], "10.0.0.1", "203.0.113.9, 198.51.100.7", 403),
        (["203.0.113.0/24"], "198.51.100.7", "203.0.113.9", 403),
        (["2001:db8:1::/48"], "2001:db8:1:2::3", "", 200),
        (["2001:db8:1::/48"], "2001:db8:2::3", "", 403),
        (["203.0.113.0/24"], "2001:db8:2::3", "", 403),
        (["203.0.113.0/24"], "", "", 403),
    ],
)
def test_sources_narrow_where_webhooks_may_come_from(
    sources: list[str],
    remote: str,
    forwarded: str,
    status: int,
    api: Api,
    events: Events,
    settings: Settings,
) -> None:
    settings.WEBHOOK_SOURCES, settings.TRUSTED_PROXIES = sources, ["10.0.0.1/32"]
    body = orjson.dumps([events.changed("9")])
    where = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}

    reply = post(api, body, headers=sign("v3", body), **where)

    assert reply.status == status
    assert status == 200 or reply.code == "ACCESS_DENIED"


def test_the_right_source_is_no_signature(api: Api, events: Events, settings: Settings) -> None:
    settings.WEBHOOK_SOURCES = ["127.0.0.1/32"]
    body = orjson.dumps([events.changed("9")])

    assert post(api, body, headers={}).code == "INVALID_SIGNATURE"
